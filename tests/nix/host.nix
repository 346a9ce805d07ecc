# A NixOS host as far as warmkeep asks for one: nixpkgs' own lib and its own types of systemd units. Its packages are
# links to programs of this machine, as nothing else can be built without a network.
{
  nixpkgs,
  # A folder of programs: `warmkeep` among them, and `systemd-analyze`.
  programs,
  modules,
}:

let
  lib = import (nixpkgs + "/lib");

  build =
    name: environment: script:
    derivation (
      environment
      // {
        inherit name script;
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [
          "-ec"
          "eval \"$script\""
        ];
        PATH = lib.makeBinPath (environment.nativeBuildInputs or [ ]) + ":/usr/bin:/bin";
      }
    )
    // {
      meta = { };
    };
  package =
    name:
    build name { } "mkdir -p $out/bin; ln -s ${programs}/* $out/bin/"
    // {
      meta.mainProgram = name;
    };

  json =
    let
      inherit (lib.types)
        nullOr
        oneOf
        bool
        int
        float
        str
        path
        attrsOf
        listOf
        ;
      type = nullOr (oneOf [
        bool
        int
        float
        str
        path
        (attrsOf type)
        (listOf type)
      ]);
    in
    type;

  pkgs =
    lib.genAttrs [
      "coreutils"
      "findutils"
      "gnugrep"
      "gnused"
      "gnutar"
      "gzip"
      "gitMinimal"
      "docker"
    ] package
    // {
      stdenv.hostPlatform.system = builtins.currentSystem;
      xz.bin = package "xz";
      runCommand = build;
      writeText = name: text: builtins.toFile name (builtins.unsafeDiscardStringContext text);
      formats.json = _: {
        type = lib.types.json or json;
        generate =
          name: value: build name { text = builtins.toJSON value; } "printf '%s\\n' \"$text\" > $out";
      };
      callPackage = _: _: package "warmkeep";
    };

  systemdUtils = {
    lib = import (nixpkgs + "/nixos/lib/systemd-lib.nix") {
      inherit lib pkgs;
      inherit (host) config;
      utils = { };
    };
    unitOptions = import (nixpkgs + "/nixos/lib/systemd-unit-options.nix") {
      inherit lib systemdUtils;
    };
    types = import (nixpkgs + "/nixos/lib/systemd-types.nix") { inherit lib systemdUtils pkgs; };
  };

  option =
    type: default:
    lib.mkOption {
      inherit type;
      inherit default;
    };
  anything = option lib.types.unspecified;
  flag = option lib.types.bool false;

  hostOptions = {
    options = {
      assertions = option (lib.types.listOf lib.types.unspecified) [ ];
      environment = {
        systemPackages = option (lib.types.listOf lib.types.package) [ ];
        etc = option (lib.types.attrsOf (lib.types.attrsOf lib.types.unspecified)) { };
        sessionVariables = option (lib.types.attrsOf lib.types.str) {
          NIX_PATH = "nixpkgs=/nix/var/nix/profiles/per-user/root/channels/nixos";
        };
      };
      networking = {
        hostName = option lib.types.str "nixos";
        proxy.envVars = option (lib.types.attrsOf lib.types.str) { };
      };
      nix = {
        envVars = option (lib.types.attrsOf lib.types.str) { };
        package = anything { out = package "nix"; };
      };
      programs.ssh.package = anything (package "openssh");
      system.autoUpgrade.enable = flag;
      systemd = {
        package = anything (package "systemd");
        packages = option (lib.types.listOf lib.types.package) [ ];
        enableStrictShellChecks = flag;
        # As NixOS sets it for every unit.
        globalEnvironment = option (lib.types.attrsOf lib.types.str) {
          LOCALE_ARCHIVE = "/run/current-system/sw/lib/locale/locale-archive";
          TZDIR = "/etc/zoneinfo";
        };
        services = option systemdUtils.types.services { };
        timers = option systemdUtils.types.timers { };
        paths = option systemdUtils.types.paths { };
      };
      virtualisation.docker = {
        enable = flag;
        package = anything pkgs.docker;
        liveRestore = flag;
        daemon.settings = anything { };
        autoPrune = {
          enable = flag;
          flags = option (lib.types.listOf lib.types.str) [ ];
        };
      };
    };
    config._module.args = { inherit pkgs; };
  };

  host = lib.evalModules { modules = [ hostOptions ] ++ modules; };
  inherit (host) config;

  texts =
    toUnit: units:
    lib.mapAttrs' (_: unit: {
      inherit (unit) name;
      value = (toUnit unit).text;
    }) units;
in
{
  inherit config;

  # What evaluation refuses, as a person is told.
  refused = map (assertion: assertion.message) (
    lib.filter (assertion: !assertion.assertion) config.assertions
  );

  # The text of every unit, or of its drop-in, as NixOS writes it.
  units =
    texts systemdUtils.lib.serviceToUnit config.systemd.services
    // texts systemdUtils.lib.timerToUnit config.systemd.timers
    // texts systemdUtils.lib.pathToUnit config.systemd.paths;
}
