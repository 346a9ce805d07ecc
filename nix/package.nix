{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  makeBinaryWrapper,
  coreutils,
  gitMinimal,
  nix,
  openssh,
  procps,
  systemd,
  util-linux,
}:

let
  manifest = (lib.importTOML ../Cargo.toml).package;

  # What is called by name. Docker and abra are the host's own: their versions are the host's affair.
  programs = [
    coreutils
    gitMinimal
    nix
    openssh
    systemd
  ];
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;
  __structuredAttrs = true;
  strictDeps = true;

  # Only what the build and its tests read, so that a change of the module or of a page builds nothing anew.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../rustfmt.toml
      ../clippy.toml
      ../src
      ../tests
      ../benches
      ../examples
      ../docs/configuration.md
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [
    installShellFiles
    makeBinaryWrapper
  ];

  # The core, with real processes on the loopback device. The check `tests` of the flake runs all that a sandbox has the
  # means for, and the repository's CI the rest: what needs root, Docker, a real systemd, file systems of its own.
  nativeCheckInputs = [
    gitMinimal
    procps
    util-linux
  ];
  cargoTestFlags = [
    "--lib"
    "--bins"
    "--test=cli"
    "--test=config_*"
    "--test=converge"
    "--test=hooks"
    "--test=transcripts"
  ];

  # Last in PATH: where the host has one of these, its own is taken.
  postInstall = ''
    wrapProgram $out/bin/warmkeep --suffix PATH : ${lib.makeBinPath programs}
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd warmkeep \
      --bash <($out/bin/warmkeep completions bash) \
      --fish <($out/bin/warmkeep completions fish) \
      --zsh <($out/bin/warmkeep completions zsh)
    $out/bin/warmkeep man > warmkeep.1
    installManPage warmkeep.1
  '';

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    mainProgram = "warmkeep";
    platforms = lib.platforms.linux;
  };
}
