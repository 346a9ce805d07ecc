# A machine that looks after an app: installed at boot, upgraded at night, and taken back with its data when the new
# version is sick.
{ module }:

{
  name = "warmkeep-warm-app";

  nodes.machine = {
    imports = [
      module
      ./settings.nix
    ];
    virtualisation.memorySize = 1024;
  };

  testScript = ''
    import json

    def release(version, behaviour=""):
        machine.succeed(
            f"mkdir -p /srv/notes/aside && printf '%s' '{behaviour}' > /srv/notes/aside/behaviour"
            f" && mv /srv/notes/aside /srv/notes/releases/{version}"
        )

    def serves(version):
        machine.wait_until_succeeds(f"test $(curl -fsS http://127.0.0.1:8081/version) = {version}", timeout=60)

    def notes():
        return machine.succeed("curl -fsS http://127.0.0.1:8081/notes").split()

    def outcomes():
        history = json.loads(machine.succeed("warmkeep history --json"))
        return [entry["outcome"] for entry in history["entries"]]

    machine.wait_for_unit("multi-user.target")

    with subtest("the app is installed at boot"):
        machine.wait_for_unit("warmkeep-notes.service")
        serves("1.0.0")
        machine.succeed("curl -fsS -d milk http://127.0.0.1:8081/notes")

    with subtest("boot and activation upgrade nothing"):
        release("1.1.0")
        machine.succeed("systemctl restart warmkeep-notes.service")
        serves("1.0.0")

    with subtest("the nightly run upgrades it, and its data is there"):
        machine.succeed("systemctl start warmkeep-nightly.service")
        serves("1.1.0")
        assert notes() == ["milk"], notes()

    with subtest("a sick version is taken back with the data that it rewrote"):
        release("1.2.0", "rewrites sick")
        # Exit code 4: something was rolled back. It is no success, and a person is told.
        machine.execute("systemctl start warmkeep-nightly.service")
        serves("1.1.0")
        assert notes() == ["milk"], notes()
        alerts = json.loads(machine.succeed("warmkeep alerts list --json"))["alerts"]
        assert len(alerts) == 1, alerts
        assert "rolledBack" in outcomes(), outcomes()

    with subtest("the timer starts the nightly run"):
        release("1.2.1")
        machine.succeed("date -s '02:59:57 tomorrow'")
        serves("1.2.1")
        assert notes() == ["milk"], notes()

    with subtest("the app is up again after a crash of the whole machine"):
        machine.crash()
        machine.start()
        machine.wait_for_unit("warmkeep-notes.service")
        serves("1.2.1")
        assert notes() == ["milk"], notes()
  '';
}
