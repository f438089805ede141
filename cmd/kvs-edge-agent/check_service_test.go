package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// TestCheckHasTheVariablesOfTheService checks the order: the file, then the unit, and from the shell only what the
// service sees.
func TestCheckHasTheVariablesOfTheService(t *testing.T) {
	path := writeSettings(t, "AWS_REGION=us-west-2\nAWS_IOT_CORE_THING_NAME=hub-7\nAWS_KVS_EDGE_AUDIO=off\n")
	unit := &preflight.Unit{User: "kvs-edge-agent", EnvFile: path, Environment: map[string]string{settings.EnvStateDirectory: "/var/lib/mine",
		settings.EnvAudio: "on"}}
	shell := map[string]string{
		settings.EnvRegion: "eu-west-1", settings.EnvThingName: "hub-7", settings.EnvStateDirectory: "/shell", settings.EnvMinFreeDisk: "10%",
		"https_proxy": "http://p:1",
	}
	for name, row := range map[string]struct {
		unit  *preflight.Unit
		own   string
		want  map[string]string
		notes []string
	}{
		"the service under systemd": {unit, "", map[string]string{
			settings.EnvRegion: "us-west-2", settings.EnvThingName: "hub-7", settings.EnvStateDirectory: "/var/lib/mine", settings.EnvAudio: "off",
			settings.EnvMinFreeDisk: "", "https_proxy": "",
		}, []string{"This shell has another value of AWS_REGION than " + path,
			"another value of AWS_KVS_EDGE_STATE_DIRECTORY than the service's unit",
			"does not see what this shell sets of AWS_KVS_EDGE_MIN_FREE_DISK, https_proxy"}},
		"a container, without systemd": {nil, "", map[string]string{
			settings.EnvRegion: "us-west-2", settings.EnvStateDirectory: "/shell", settings.EnvMinFreeDisk: "10%",
			settings.EnvRecordingDirectory: "/var/lib/kvs-edge-agent/recordings",
		}, []string{"another value of AWS_REGION"}},
		"a file of one's own": {&preflight.Unit{EnvFile: "/none"}, path, map[string]string{
			settings.EnvRegion: "us-west-2", settings.EnvStateDirectory: "/shell", settings.EnvMinFreeDisk: "10%",
			settings.EnvRecordingDirectory: "",
		}, []string{"another value of AWS_REGION"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, assignment := range os.Environ() {
				if name, _, _ := strings.Cut(assignment, "="); isSetting(name) {
					shellWithout(t, name)
				}
			}
			shellWithout(t, append(serviceVariables, settings.EnvAudio, settings.EnvMinFreeDisk, "https_proxy", "LOGS_DIRECTORY")...)
			for name, value := range shell {
				t.Setenv(name, value)
			}
			view, err := asService(row.unit, row.own, path)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range row.want {
				if got := os.Getenv(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if said := strings.Join(view.notes, "\n"); strings.Count(said, "\n") != len(row.notes)-1 {
				t.Errorf("it says %q", said)
			}
			for i, want := range row.notes {
				if i < len(view.notes) && !strings.Contains(view.notes[i], want) {
					t.Errorf("it says %q, want %q", view.notes[i], want)
				}
			}
			if view.unit != nil != (row.unit == unit) {
				t.Errorf("the unit that applies is %+v", view.unit)
			}
		})
	}
}

// TestAShellHasAHub also where that is not a thing: what the service's file, which may not be read, is replaced by.
func TestAShellHasAHub(t *testing.T) {
	names := []string{settings.EnvThingName, settings.EnvSiteWiseHub, settings.EnvCloud}
	for name, row := range map[string]struct {
		variable, value string
		want            bool
	}{
		"nothing":                {settings.EnvThingName, "", false},
		"a thing":                {settings.EnvThingName, "hub-7", true},
		"the asset in SiteWise":  {settings.EnvSiteWiseHub, siteWiseHub, true},
		"no cloud":               {settings.EnvCloud, "off", true},
		"the cloud, and no name": {settings.EnvCloud, "on", false},
	} {
		t.Run(name, func(t *testing.T) {
			shellWithout(t, names...)
			t.Setenv(row.variable, row.value)
			if got := shellHasHub(); got != row.want {
				t.Errorf("it says %t", got)
			}
		})
	}
}

func TestADropInKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "unit.d")
	for _, lines := range [][]string{{"ReadWritePaths=-/mnt/a"}, {"ProtectHome=read-only", "ReadWritePaths=-/mnt/a"}} {
		if _, _, err := writeDropIn(dir, lines); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, preflight.DropInName))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n[Service]\nReadWritePaths=-/mnt/a\nProtectHome=read-only\n"; !strings.HasSuffix(string(text), want) {
		t.Errorf("the file is %q", text)
	}
}

// asInstalled runs commands, separated by line ends, in a mount namespace whose /etc has the unit and these settings:
// the machine itself is not changed.
func asInstalled(t *testing.T, settings, commands string) (output string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may make a mount namespace")
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	unit, err := filepath.Abs("../../deploy/systemd/kvs-edge-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	const install = `mount -t tmpfs none "$SCRATCH" && mkdir "$SCRATCH/upper" "$SCRATCH/work" || exit 99
mount -t overlay none -o "lowerdir=/etc,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" /etc || exit 99
mkdir -p /etc/kvs-edge-agent /etc/systemd/system
cp "$SETTINGS" /etc/kvs-edge-agent/agent.env
cp "$UNIT" /etc/systemd/system/
`
	command := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "-c", install+commands)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH") + ":" + filepath.Dir(path),
		"SCRATCH=" + t.TempDir(), "UNIT=" + unit, "SETTINGS=" + writeSettings(t, settings),
		"AWS_REGION=eu-west-1", "AWS_KVS_EDGE_SOCKET=/shell.sock",
	}
	text, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Skip(err)
	}
	if command.ProcessState.ExitCode() == 99 {
		t.Skipf("this machine allows no mounts: %s", text)
	}
	return string(text)
}

// TestCheckSeesWhatTheInstalledServiceSees with the real program, in a shell with other settings.
func TestCheckSeesWhatTheInstalledServiceSees(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(systemdRuns); err == nil {
		t.Skip("the systemd of this machine does not see the unit of a mount namespace")
	}
	const settings = `AWS_REGION=us-west-2
AWS_KVS_EDGE_RECORDING_DIRECTORY=/mnt/disk/recordings
AWS_IOT_CORE_CERT=/home/pi/certificate.pem
AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY=/tmp/log
`
	output := asInstalled(t, settings,
		"kvs-edge-agent check\nkvs-edge-agent check --write-drop-in\ncat /etc/systemd/system/kvs-edge-agent.service.d/*\n")
	for _, want := range []string{
		"✔ environment            This shell has another value of AWS_REGION than /etc/kvs-edge-agent/agent.env",
		"✔ environment            This shell has another value of AWS_KVS_EDGE_SOCKET than the service's unit",
		"✘ sandbox                AWS_KVS_EDGE_RECORDING_DIRECTORY: the service may not write to /mnt/disk/recordings, " +
			"as its unit has ProtectSystem=strict",
		"✘ sandbox                AWS_IOT_CORE_CERT: the service may not read /home/pi/certificate.pem, as its unit has ProtectHome=yes",
		"✘ sandbox                AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY: /tmp/log is a temporary directory",
		"no drop-in can allow this: AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY",
		"wrote /etc/systemd/system/kvs-edge-agent.service.d/kvs-edge-agent-paths.conf:",
		"systemctl daemon-reload",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if drop := "\n[Service]\nReadWritePaths=-/mnt/disk/recordings\nProtectHome=read-only\n"; strings.Count(output, drop) != 2 {
		t.Errorf("the drop-in is not shown and written as %q", drop)
	}
	if strings.Contains(output, "AWS_KVS_EDGE_SOCKET:") {
		t.Error("the shell's socket counts")
	}
	if t.Failed() {
		t.Log(output)
	}
}

// TestCommandsSeeWhatTheInstalledServiceSees with the real program, in a shell with other settings.
func TestCommandsSeeWhatTheInstalledServiceSees(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(systemdRuns); err == nil {
		t.Skip("the systemd of this machine does not see the unit of a mount namespace")
	}
	const commands = "export AWS_KVS_EDGE_RECORDING_DIRECTORY=/shell\nfor c in status segments 'export --stream a /none.mkv' verify " +
		"'upload --stream a --last 1h' reload log-level; do echo \"<$c>\"; kvs-edge-agent $c; done\n" +
		"kvs-edge-agent segments --dir /flag\nkvs-edge-agent status --socket /flag.sock\n"
	output := asInstalled(t, "AWS_KVS_EDGE_RECORDING_DIRECTORY=/mnt/none\n", commands)
	const socket, directory = "nobody answers on /run/kvs-edge-agent/agent.sock", "there is no directory /mnt/none;"
	for command, want := range map[string]string{
		"status": socket, "upload --stream a --last 1h": socket, "reload": socket, "log-level": socket,
		"segments": directory, "export --stream a /none.mkv": directory, "verify": directory,
	} {
		_, said, _ := strings.Cut(output, "<"+command+">\n")
		said, _, _ = strings.Cut(said, "\n<")
		if !strings.Contains(said, want) || !strings.Contains(said, "which takes precedence over /shell") {
			t.Errorf("%s says %q, want %q", command, said, want)
		}
	}
	for _, want := range []string{"there is no directory /flag;", "nobody answers on /flag.sock"} {
		if !strings.Contains(output, want) {
			t.Errorf("it lacks %q:\n%s", want, output)
		}
	}
}

// TestCheckSaysThatTheServiceMayNotReadItsSettings which root, who calls check, may.
func TestCheckSaysThatTheServiceMayNotReadItsSettings(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(systemdRuns); err == nil {
		t.Skip("the systemd of this machine does not see the unit of a mount namespace")
	}
	const user = `echo kvs-edge-agent:x:64999: >>/etc/group
echo kvs-edge-agent:x:64999:64999::/:/bin/false >>/etc/passwd
chmod 0600 /etc/kvs-edge-agent/agent.env
`
	const says = "✘ environment            The service's user may not read /etc/kvs-edge-agent/agent.env (permission denied)"
	output := asInstalled(t, "AWS_REGION=us-west-2\n",
		user+"kvs-edge-agent check\nchmod 0644 /etc/kvs-edge-agent/agent.env\nkvs-edge-agent check\n")
	if strings.Count(output, says) != 1 || strings.Count(output, "✘ cloud") != 2 {
		t.Errorf("it says\n%s", output)
	}
}
