{
  description = "Keeps a NixOS host's warm apps current and healthy, and takes back version and data when an upgrade is not";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      # Only builtins, so that what the flake offers can be listed before nixpkgs is fetched.
      forEachSystem =
        make:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = make nixpkgs.legacyPackages.${system};
          }) systems
        );
      systemOf = pkgs: pkgs.stdenv.hostPlatform.system;
    in
    {
      packages = forEachSystem (pkgs: rec {
        warmkeep = pkgs.callPackage ./nix/package.nix { };
        default = warmkeep;
      });

      apps = forEachSystem (pkgs: {
        default = {
          type = "app";
          program = pkgs.lib.getExe self.packages.${systemOf pkgs}.default;
          meta.description = "Look after the warm apps of this host";
        };
      });

      overlays.default = final: _: {
        warmkeep = final.callPackage ./nix/package.nix { };
      };

      # The package is the flake's own, built with the nixpkgs that it was tested with.
      nixosModules.default =
        { lib, pkgs, ... }:
        {
          # Two imports of this module are one.
          key = "warmkeep#nixosModules.default";
          imports = [ ./modules ];
          config.services.warmkeep.package = lib.mkDefault self.packages.${systemOf pkgs}.default;
        };

      checks = forEachSystem (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs;
          package = self.packages.${systemOf pkgs}.default;
          module = self.nixosModules.default;
        }
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix {
          warmkeep = self.packages.${systemOf pkgs}.default;
          formatter = self.formatter.${systemOf pkgs};
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
