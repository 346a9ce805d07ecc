# A shell to work on warmkeep in. The live tests want root and a few programs more: tests/live/provision names them.
{
  mkShell,
  warmkeep,
  formatter,
  clippy,
  rust-analyzer,
  rustfmt,
  cargo-insta,
  btrfs-progs,
  xfsprogs,
}:

mkShell {
  inputsFrom = [ warmkeep ];
  packages = [
    formatter
    clippy
    rust-analyzer
    rustfmt
    cargo-insta
    btrfs-progs
    xfsprogs
  ];
}
