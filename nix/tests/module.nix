# The module in a whole NixOS: what systemd would be given.
{ pkgs, module }:

let
  host = pkgs.nixos {
    imports = [
      module
      ./settings.nix
    ];
    # Neither a boot loader nor a file system is part of the question.
    boot.isContainer = true;
    system.stateVersion = "26.05";
    services.warmkeep.settings.alerts.sinks.phone.webhook.url = "https://ntfy.example.org/warmkeep";
  };
  units = host.config.environment.etc."systemd/system".source;
  settings = host.config.environment.etc."warmkeep/warmkeep.json".source;
in
pkgs.runCommand "warmkeep-module"
  {
    nativeBuildInputs = [ host.config.services.warmkeep.package ];
    # Its assertions hold.
    toplevel = builtins.unsafeDiscardStringContext host.config.system.build.toplevel.drvPath;
  }
  ''
    there() { test -e "${units}/$1" || { echo "$1 is not there"; exit 1; }; }

    there multi-user.target.wants/warmkeep-notes.service
    there timers.target.wants/warmkeep-nightly.timer
    there paths.target.wants/warmkeep-alerts.path
    # The units are warmkeep's own; NixOS adds to them, and replaces none.
    for unit in warmkeep-notes.service warmkeep-nightly.service warmkeep-alerts.service; do
      there "$unit.d/overrides.conf"
      grep -q ^ExecStart= "${units}/$unit"
    done
    grep -q ^X-RestartIfChanged=false "${units}/warmkeep-nightly.service"
    warmkeep --config ${settings} check
    touch $out
  ''
