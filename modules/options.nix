# The options of services.warmkeep: typed and described where people set most, anything else as warmkeep's own schema has it
# (`warmkeep schema`, docs/configuration.md).
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  format = pkgs.formats.json { };

  # A part of the settings: the options that are named, and whatever else warmkeep knows.
  part =
    options:
    types.submodule {
      freeformType = format.type;
      inherit options;
    };

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  required = type: description: mkOption { inherit type description; };

  argv = types.nonEmptyListOf types.str;
  # A path without quotes is copied to the store: right for a compose file, and refused for a secret by assertions.nix.
  file = types.either types.str types.path;

  drivers = {
    process = required (part {
      command = required argv "What is run, without a shell. Placeholders: `{version}`, `{release}`, `{data}`, `{app}`.";
      prepare = optional argv "Fills `{release}` while the old version still serves.";
      env = optional (types.attrsOf types.str) "The app's environment. It is in the store, for all to read: no secrets.";
    }) "A process that warmkeep supervises itself.";

    compose = required (part {
      files = required (types.nonEmptyListOf file) "The compose file, and overlays after it.";
      envFile = optional file "The env file in which the version is pinned; warmkeep writes it.";
      tagVariable = optional types.str "The variable in that file that holds the version.";
    }) "A Docker Compose project.";

    swarm = required (part {
      files = required (types.nonEmptyListOf file) "The stack file, and overlays after it.";
      envFile = optional file "The env file in which the version is pinned; warmkeep writes it.";
      stack = optional types.str "The stack's name; without it, the app's.";
      tagVariable = optional types.str "The variable in that file that holds the version.";
    }) "A Docker Swarm stack.";

    abra = required (part {
      domain = required types.str "The app's stable domain.";
      recipe = optional types.str "The recipe's name; without it, the app's.";
    }) "A Co-op Cloud app, by way of abra.";

    command = required (part {
      deploy = required argv "Brings `{version}` up.";
      stop = required argv "Ends the app.";
      status = required argv ''Prints `{"version":…,"running":…}`.'';
    }) "Your own programs.";
  };

  app = part {
    driver = required (types.attrTag drivers) "How the app is run: exactly one of ${
      lib.concatMapStringsSep ", " (name: "`${name}`") (lib.attrNames drivers)
    }.";

    data = optional (part {
      paths = optional (types.listOf types.str) "Folders that belong to the app. They are copied before an upgrade.";
      discover = optional types.bool "Whether the named volumes of the app's own project or stack are data too.";
    }) "What the app keeps. Without it the app is stateless: a rollback takes back the version only.";

    versions = required (part {
      source = required format.type "Where versions are listed: one of `directory`, `git`, `recipe`, `command`, `list`.";
      policy = optional (types.enum [
        "patch"
        "minor"
        "major"
        "any"
        "none"
      ]) "How far one step may go unattended; without it, `minor`.";
      minAge = optional types.str "How old a release must be before it is taken, such as `72h`.";
      pin = optional types.str "The only version that is taken.";
    }) "Which versions there are, and which may be taken unattended.";

    health = mkOption {
      type = part {
        checks = mkOption {
          type = types.attrsOf format.type;
          default = { };
          example = {
            http.http.url = "http://127.0.0.1:8081/healthz";
          };
          description = "The checks by name, each one of `http`, `tcp`, `command` and `containers`.";
        };
        timeout = optional types.str "The hard end of a health gate; without it, `2m`.";
      };
      default = { };
      description = "When the app counts as healthy.";
    };

    after = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "traefik" ];
      description = "Apps that must be up before this one.";
    };
  };

  rebuild = part {
    flake = required types.str "The flake and the host in it, such as `/etc/nixos#host`.";
    action = optional (types.enum [
      "switch"
      "boot"
      "test"
    ]) "What is done with the new generation; without it, `switch`.";
  };

  sinks = {
    webhook = required (part {
      url = required types.str "The address.";
      format = optional (types.enum [
        "json"
        "ntfy"
        "slack"
      ]) "The form of the body; without it, `json`.";
      bearerFile = optional file "The file that holds a bearer token; never in the store.";
    }) "An HTTP endpoint.";
    command = required (part {
      run = required argv "The program, which reads the alert as JSON on its standard input.";
    }) "A program.";
  };
in
{
  options.services.warmkeep = {
    enable = lib.mkEnableOption "warmkeep, which keeps this host's warm apps current and healthy";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../nix/package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./nix/package.nix { }";
      description = "The warmkeep that checks the configuration, writes the units and runs in them.";
    };

    path = mkOption {
      type = types.listOf (types.either types.package types.str);
      default = [ ];
      example = lib.literalExpression "[ pkgs.curl ]";
      description = ''
        Packages whose programs the apps' own commands, hooks and checks call. What is installed for the whole system is
        found without being named here, and Docker where an app needs it.
      '';
    };

    generated = mkOption {
      type = types.package;
      readOnly = true;
      internal = true;
      description = "The checked configuration and the units, as warmkeep wrote them.";
    };

    settings = mkOption {
      default = { };
      description = ''
        The configuration, as in docs/configuration.md. What is not listed here may be set all the same; warmkeep checks
        all of it when the system is built. It is in the store, where everybody can read it: name files that hold
        secrets, never a secret.
      '';
      type = part {
        schema = mkOption {
          type = types.enum [ 1 ];
          default = 1;
          internal = true;
          description = "The configuration's schema.";
        };

        host = {
          stateDir = mkOption {
            type = types.str;
            default = "/var/lib/warmkeep";
            description = "Where state and snapshots are kept.";
          };
          runtimeDir = mkOption {
            type = types.str;
            default = "/run/warmkeep";
            description = "Where locks and process records are.";
          };
        };

        apps = mkOption {
          type = types.attrsOf app;
          default = { };
          description = "The warm apps, by name.";
        };

        nightly = mkOption {
          type = part {
            onCalendar = mkOption {
              type = types.str;
              default = "03:00";
              description = "When the nightly run starts, as {manpage}`systemd.time(7)` has it.";
            };
            rebuild = optional rebuild "The rebuild of this system that comes first. Without it, there is none.";
          };
          default = { };
          description = "The nightly run.";
        };

        alerts = mkOption {
          type = part {
            sinks = mkOption {
              type = types.attrsOf (types.attrTag sinks);
              default = { };
              description = "Where alerts are sent, by name: each one of `webhook` and `command`.";
            };
          };
          default = { };
          description = "How people are told.";
        };
      };
    };
  };
}
