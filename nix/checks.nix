# `nix flake check`: what must hold of the package and of the module, for one system.
{
  pkgs,
  package,
  module,
}:

let
  inherit (pkgs) lib;

  # The package's own sources and vendored crates, with another work done on them.
  work =
    name: phase: inputs:
    package.overrideAttrs (before: {
      pname = "warmkeep-${name}";
      nativeBuildInputs = before.nativeBuildInputs ++ inputs;
      buildPhase = phase;
      doCheck = false;
      installPhase = "touch $out";
      postInstall = "";
    });

  nixFiles = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.fileFilter (file: file.hasExt "nix") ../.;
  };
in
{
  inherit package;

  clippy = work "clippy" "cargo clippy --offline --locked --all-targets -- -D warnings" [
    pkgs.clippy
  ];

  # All of them: those that a sandbox has no means for say so and are passed over.
  tests = package.overrideAttrs {
    pname = "warmkeep-tests";
    cargoTestFlags = [ "--no-fail-fast" ];
  };

  rustfmt = work "rustfmt" "cargo fmt --all --check" [ pkgs.rustfmt ];

  nixfmt = pkgs.runCommand "warmkeep-nixfmt" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
    find ${nixFiles} -name '*.nix' -exec nixfmt --check {} +
    touch $out
  '';

  module = import ./tests/module.nix { inherit pkgs module; };

  vm = pkgs.testers.runNixOSTest (import ./tests/warm-app.nix { inherit module; });
}
