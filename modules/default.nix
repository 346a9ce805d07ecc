# warmkeep on NixOS. Thin: the package checks the configuration and writes the units at build time, so that there is one
# generator, and a wrong setting fails the build with warmkeep's own message.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.warmkeep;
  inherit (cfg.settings) apps nightly alerts;

  # An unset option is absent from the file: warmkeep's own default holds.
  written = lib.filterAttrsRecursive (_: value: value != null) cfg.settings;
  format = pkgs.formats.json { };

  generated =
    pkgs.runCommand "warmkeep-units"
      {
        nativeBuildInputs = [
          cfg.package
          config.systemd.package
        ];
        configuration = format.generate "warmkeep.json" written;
        inherit (nightly) onCalendar;
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      ''
        mkdir -p $out/share/warmkeep $out/lib/systemd/system
        cp $configuration $out/share/warmkeep/warmkeep.json
        warmkeep --config $out/share/warmkeep/warmkeep.json check
        # A calendar that systemd cannot read would leave a timer that never starts.
        systemd-analyze calendar -- "$onCalendar"
        warmkeep --config $out/share/warmkeep/warmkeep.json generate --format systemd \
          --program ${lib.getExe cfg.package} --settings ${settingsPath} --out $out/lib/systemd/system
      '';
  settingsPath = "/etc/warmkeep/warmkeep.json";

  usesDocker = lib.any (app: app.driver ? compose || app.driver ? swarm || app.driver ? abra) (
    lib.attrValues apps
  );
  proxies = config.networking.proxy.envVars;
  # The apps' own commands find what a user of the system finds.
  programs =
    cfg.path
    ++ lib.optional usesDocker config.virtualisation.docker.package
    ++ [
      "/run/wrappers"
      "/run/current-system/sw"
    ];

  appService = name: app: {
    name = "warmkeep-${name}";
    value = {
      wantedBy = [ "multi-user.target" ];
      environment = proxies // {
        HOME = "/root";
      };
      path = programs;
      # A changed app is looked at when the change is activated, not only at night.
      restartTriggers = [ (builtins.toJSON app) ];
    };
  };
in
{
  imports = [
    ./options.nix
    ./assertions.nix
  ];

  config = lib.mkIf cfg.enable {
    services.warmkeep.generated = generated;

    environment = {
      systemPackages = [ cfg.package ];
      etc."warmkeep/warmkeep.json".source = "${generated}/share/warmkeep/warmkeep.json";
    };

    systemd = {
      # NixOS takes units from a package as they are, but neither their [Install] sections nor what is found in PATH.
      packages = [ generated ];

      services =
        lib.mapAttrs' appService apps
        // {
          # As system.autoUpgrade has it, whose work this does.
          warmkeep-nightly = {
            environment =
              config.nix.envVars
              // lib.optionalAttrs (config.environment.sessionVariables ? NIX_PATH) {
                inherit (config.environment.sessionVariables) NIX_PATH;
              }
              // {
                HOME = "/root";
              }
              // proxies;
            path =
              (with pkgs; [
                coreutils
                gnutar
                xz.bin
                gzip
                gitMinimal
              ])
              ++ [
                config.nix.package.out
                config.programs.ssh.package
              ]
              ++ programs;
          };
        }
        // lib.optionalAttrs (alerts.sinks != { }) {
          warmkeep-alerts = {
            environment = proxies;
            path = programs;
          };
        };

      timers.warmkeep-nightly.wantedBy = [ "timers.target" ];
      paths = lib.mkIf (alerts.sinks != { }) { warmkeep-alerts.wantedBy = [ "paths.target" ]; };
    };
  };
}
