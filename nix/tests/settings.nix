# One warm app, warmkeep's own demo app, as the tests of the module have it.
{ lib, config, ... }:

{
  services.warmkeep = {
    enable = true;
    settings = {
      apps.notes = {
        driver.process.command = [
          (lib.getExe config.services.warmkeep.package)
          "demo-app"
          "--port"
          "8081"
          "--data"
          "{data}"
          "--release"
          "{release}"
          "--version-name"
          "{version}"
        ];
        data.paths = [ "/var/lib/notes" ];
        versions.source.directory.path = "/srv/notes/releases";
        health = {
          checks.http.http.url = "http://127.0.0.1:8081/healthz";
          interval = "100ms";
          passes = 2;
          soak = "500ms";
          timeout = "20s";
        };
      };
      nightly = {
        onCalendar = "03:00";
        randomizedDelay = "0s";
      };
      sweep.allowEmpty = true;
    };
  };

  systemd.tmpfiles.rules = [
    "d /var/lib/notes 0700 root root -"
    "d /srv/notes/releases/1.0.0 0755 root root -"
  ];
}
