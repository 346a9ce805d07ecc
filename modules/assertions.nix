# What evaluation can already know to be wrong. Everything else is warmkeep's own check, when the system is built.
{ config, lib, ... }:

let
  cfg = config.services.warmkeep;
  inherit (cfg.settings) apps nightly;
  inherit (config.virtualisation) docker;

  says = names: lib.concatStringsSep ", " names;
  appsWhere = holds: lib.attrNames (lib.filterAttrs (_: holds) apps);
  runBy = drivers: appsWhere (app: lib.any (driver: app.driver ? ${driver}) drivers);

  # abra calls this host's own Docker `default`; any other server looks after itself.
  byAbra = appsWhere (
    app:
    app.driver ? abra
    && lib.elem (app.driver.abra.server or null) [
      null
      "default"
    ]
  );
  inSwarm = runBy [ "swarm" ] ++ byAbra;
  inDocker = runBy [ "compose" ] ++ inSwarm;

  reserved = [
    "alerts"
    "nightly"
  ];
  isUnitName = name: builtins.match "[A-Za-z0-9_][A-Za-z0-9._-]{0,63}" name != null;
  badNames = lib.filter (name: !isUnitName name || lib.elem name reserved) (lib.attrNames apps);

  strangers = app: lib.filter (other: !apps ? ${other}) app.after;
  lonely = lib.mapAttrsToList (name: app: "${name} (after ${says (strangers app)})") (
    lib.filterAttrs (_: app: strangers app != [ ]) apps
  );

  inStore = file: builtins.isPath file || lib.hasPrefix "${builtins.storeDir}/" file;
  # What is neither is warmkeep's to refuse.
  isFile = file: builtins.isPath file || lib.isString file;

  # The pinned version is written to the env file, by default beside the first compose file.
  unwritable = appsWhere (
    app:
    let
      driver = app.driver.compose or app.driver.swarm or null;
      envFile = if driver.envFile == null then lib.head driver.files else driver.envFile;
    in
    driver != null && inStore envFile
  );

  # Every place of a file that holds a secret, as the path of its option, where the file is in the store.
  isSecret = name: lib.hasSuffix "asswordFile" name || name == "bearerFile";
  exposed =
    at: value:
    if lib.isList value then
      lib.concatMap (exposed at) value
    else if lib.isAttrs value then
      lib.concatLists (
        lib.mapAttrsToList (
          name: inner:
          if isSecret name && isFile inner then
            lib.optional (inStore inner) (lib.concatStringsSep "." (at ++ [ name ]))
          else
            exposed (at ++ [ name ]) inner
        ) value
      )
    else
      [ ];
  secrets = exposed [ "services.warmkeep.settings" ] cfg.settings;

  refuse = wrong: message: {
    assertion = !wrong;
    message = "services.warmkeep: ${message}";
  };
in
{
  config.assertions = lib.mkIf cfg.enable [
    (refuse (badNames != [ ]) ''
      these app names cannot be used: ${says badNames}. A name becomes a unit's: letters, digits, `.`, `_` and `-`, at
      most 64, and neither of ${says reserved}.'')

    (refuse (lonely != [ ]) "`after` names apps that there are not: ${says lonely}.")

    (refuse (nightly.rebuild != null && config.system.autoUpgrade.enable) ''
      both nightly.rebuild and system.autoUpgrade would switch this system, at times of their own. Set
      `system.autoUpgrade.enable = false;`, or leave nightly.rebuild out.'')

    (refuse (inDocker != [ ] && !docker.enable)
      "Docker is not enabled, and these apps run in it: ${says inDocker}. Set `virtualisation.docker.enable = true;`."
    )

    (refuse
      (inSwarm != [ ] && docker.enable && docker.daemon.settings.live-restore or docker.liveRestore)
      ''
        Docker's live restore and swarm exclude each other, and these apps run in swarm: ${says inSwarm}. Set
        `virtualisation.docker.liveRestore = false;`.''
    )

    (refuse
      (
        inDocker != [ ]
        && docker.autoPrune.enable
        && lib.any (lib.hasInfix "--volumes") docker.autoPrune.flags
      )
      "virtualisation.docker.autoPrune deletes the data of stopped apps: take `--volumes` out of its flags."
    )

    (refuse (unwritable != [ ]) ''
      warmkeep writes the version into an env file, which would be in the store for: ${says unwritable}. Set the driver's
      `envFile` to a path outside of it, such as "/var/lib/compose/app.env".'')

    (refuse (secrets != [ ]) ''
      the store can be read by everybody, and these secrets would be in it: ${says secrets}. Write the path of a file that
      is on the host, in quotes, such as "/run/secrets/token".'')
  ];
}
