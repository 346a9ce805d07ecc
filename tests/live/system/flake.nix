# A toy NixOS: what `nixosConfigurations.host` builds here has the shape of a real system closure, and nothing in it needs
# nixpkgs or a network. The folder `system` says what is in it; tests/common/machine.rs writes that.
{
  outputs =
    { self }:
    let
      inherit (builtins)
        attrNames
        readDir
        readFile
        replaceStrings
        ;
      word = file: replaceStrings [ "\n" ] [ "" ] (readFile file);

      local =
        name: script: inputs:
        derivation (
          inputs
          // {
            inherit name;
            system = word ./system/platform;
            builder = "/bin/sh";
            args = [
              "-euc"
              script
            ];
            PATH = "/usr/bin:/bin";
          }
        );

      # Each file in `packages` is a package whose name and version are the file's name.
      package =
        name:
        local name "mkdir -p $out/share && cp $content $out/share/${name}" {
          content = ./system/packages + "/${name}";
        };

      # A warmkeep of this generation's own; or, where no version is written down, a link to the installed one.
      warmkeep =
        let
          version = word ./system/warmkeep;
        in
        if version == "" then
          local "warmkeep" "mkdir -p $out/bin && ln -s /usr/local/bin/warmkeep $out/bin/" { }
        else
          local "warmkeep-${version}"
            "mkdir -p $out/bin && cp --reflink=auto /usr/local/bin/warmkeep $out/bin/"
            { };

      toplevel =
        local "nixos-system-host-${word ./system/nixos-version}"
          ''
            mkdir -p $out/bin $out/sw/bin $out/sw/share
            cp -r $description/etc $out/etc
            cp $description/nixos-version $description/init-interface-version $out/
            chmod -R +w $out/etc
            units=$out/etc/systemd/system
            # As on NixOS, these are among the system's own units, so that a switch starts what is new in them.
            for target in multi-user paths sockets timers; do
              cp /usr/lib/systemd/system/$target.target $units/
            done
            for wanted in $(find $units -path '*.wants/*'); do ln -sf ../''${wanted##*/} $wanted; done
            cp -r $description/scripts $out/scripts
            cp $activate $out/activate
            cp $switch $out/bin/switch-to-configuration
            chmod +x $out/activate $out/bin/switch-to-configuration
            ln -s $warmkeep/bin/* $out/sw/bin/
            for package in $packages; do ln -s $package/share/* $out/sw/share/; done
          ''
          {
            inherit warmkeep;
            description = ./system;
            activate = ./activate;
            switch = ./switch-to-configuration;
            packages = map package (attrNames (readDir ./system/packages));
          };
    in
    {
      nixosConfigurations.host.config.system.build.toplevel = toplevel;
    };
}
