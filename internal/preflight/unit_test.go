package preflight

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// showOf is what `systemctl show` says of a unit with these properties.
func showOf(properties ...string) string {
	return "LoadState=loaded\nUser=kvs-edge-agent\n" + strings.Join(properties, "\n") + "\n"
}

func TestTheSandboxDecidesByPath(t *testing.T) {
	t.Parallel()
	shipped := ShippedUnit().Sandbox
	unit := func(properties ...string) Sandbox {
		u, ok := UnitOf(showOf(properties...))
		if !ok {
			t.Fatal("the unit is not known")
		}
		return u.Sandbox
	}
	none := []string(nil)
	for name, row := range map[string]struct {
		sandbox Sandbox
		path    string
		write   bool
		says    string // "": nothing is wrong
		dropIn  []string
	}{
		"the state": {shipped, "/var/lib/kvs-edge-agent/recordings", true, "", none},
		"a disk": {shipped, "/mnt/disk/recordings", true, "ProtectSystem=strict",
			[]string{"ReadWritePaths=-/mnt/disk/recordings"}},
		"a neighbour by name": {shipped, "/var/lib/kvs-edge-agent-2", true, "ProtectSystem=strict",
			[]string{"ReadWritePaths=-/var/lib/kvs-edge-agent-2"}},
		"a file of /etc": {shipped, "/etc/kvs-edge-agent/private.key", false, "", none},
		"a key at home":  {shipped, "/home/pi/private.key", false, "ProtectHome=yes", []string{"ProtectHome=read-only"}},
		"recordings at home": {shipped, "/home/pi/rec", true, "ProtectHome=yes", []string{"ProtectHome=read-only",
			"ReadWritePaths=-/home/pi/rec"}},
		"a temporary directory": {shipped, "/tmp/rec", true, "is a temporary directory", none},
		"a key in one":          {shipped, "/var/tmp/key", false, "is a temporary directory", none},
		"a drop-in for a disk":  {unit("ProtectSystem=strict", "ReadWritePaths=/mnt/disk -/x"), "/mnt/disk/recordings", true, "", none},
		"a drop-in for a home": {unit("ProtectHome=yes", "ReadWritePaths=/home/pi"), "/home/pi/rec", true, "ProtectHome=yes",
			[]string{"ProtectHome=read-only", "ReadWritePaths=-/home/pi/rec"}},
		"a home that may be read":    {unit("ProtectHome=read-only", "ReadWritePaths=/home/pi/rec"), "/home/pi/rec/a", true, "", none},
		"a home that is not there":   {unit("ProtectHome=tmpfs"), "/home/pi/rec", true, "ProtectHome=tmpfs", []string{"BindPaths=-/home/pi/rec"}},
		"a home that is bound":       {unit("ProtectHome=tmpfs", "BindPaths=/data:/home/pi/rec:rbind"), "/home/pi/rec", true, "", none},
		"what somebody made hidden":  {unit("InaccessiblePaths=/srv"), "/srv/key", false, "InaccessiblePaths=: take it out there", none},
		"what somebody made so":      {unit("ReadOnlyPaths=/srv"), "/srv/rec", true, "ReadOnlyPaths=: take it out there", none},
		"/etc under full":            {unit("ProtectSystem=full"), "/etc/log", true, "ProtectSystem=full", []string{"ReadWritePaths=-/etc/log"}},
		"/srv under full":            {unit("ProtectSystem=full"), "/srv/rec", true, "", none},
		"everything in an open unit": {unit(), "/root/rec", true, "", none},
		"the unit's own directory":   {unit("ProtectSystem=strict", "StateDirectory=kvs a:b"), "/var/lib/a", true, "", none},
		"the name of systemd 219":    {unit("ProtectSystem=strict", "ReadWriteDirectories=/data"), "/data/rec", true, "", none},
	} {
		said, dropIn := "", []string(nil)
		for _, o := range row.sandbox.obstructions([]settings.Path{{Variable: "X", Path: row.path, Write: row.write}}, filepath.Clean) {
			said, dropIn = o.text, o.dropIn
		}
		if (said == "") != (row.says == "") || !strings.Contains(said, row.says) {
			t.Errorf("%s: it says %q, want %q", name, said, row.says)
		}
		if !slices.Equal(dropIn, row.dropIn) {
			t.Errorf("%s: the drop-in is %q, want %q", name, dropIn, row.dropIn)
		}
	}
}

func TestAUnitIsReadFromSystemctl(t *testing.T) {
	t.Parallel()
	u, ok := UnitOf(showOf(
		`Environment=A=1 "B=two words" C=say\"so`, "StateDirectory=kvs-edge-agent", "RuntimeDirectory=kvs-edge-agent", "PrivateTmp=yes",
		"ExecStart={ path=/usr/bin/kvs-edge-agent ; argv[]=/usr/bin/kvs-edge-agent run --env-file /etc/mine.env ; ignore_errors=no }",
	))
	want := map[string]string{
		"A": "1", "B": "two words", "C": `say"so`, "STATE_DIRECTORY": "/var/lib/kvs-edge-agent", "RUNTIME_DIRECTORY": "/run/kvs-edge-agent",
	}
	if !ok || u.User != "kvs-edge-agent" || u.EnvFile != "/etc/mine.env" || !u.Sandbox.PrivateTmp || !maps.Equal(u.Environment, want) {
		t.Errorf("got %v %+v", ok, u)
	}
	if _, ok := UnitOf("LoadState=not-found\n"); ok {
		t.Error("a unit that systemd does not know is taken")
	}
}

// TestTheShippedUnitIsTheOneInTheCode compares what check assumes with the unit of the package.
func TestTheShippedUnitIsTheOneInTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/systemd/kvs-edge-agent.service")
	must(t, err)
	show := "LoadState=loaded\n"
	for line := range strings.Lines(string(text)) {
		if command, found := strings.CutPrefix(line, "ExecStart="); found {
			line = "ExecStart={ argv[]=" + strings.TrimSpace(command) + " ; }\n"
		}
		if strings.HasPrefix(line, "ProtectSystem=full") {
			continue // the next line replaces it
		}
		show += line
	}
	u, _ := UnitOf(show)
	want := ShippedUnit()
	slices.Sort(u.Sandbox.ReadWrite)
	u.Sandbox.ReadWrite = slices.Compact(u.Sandbox.ReadWrite)
	slices.Sort(want.Sandbox.ReadWrite)
	if u.User != want.User || u.EnvFile != want.EnvFile || !maps.Equal(u.Environment, want.Environment) {
		t.Errorf("the unit has %+v, the code %+v", u, want)
	}
	got, known := u.Sandbox, want.Sandbox
	if !slices.Equal(got.ReadWrite, known.ReadWrite) || got.ProtectSystem != known.ProtectSystem ||
		got.ProtectHome != known.ProtectHome || got.PrivateTmp != known.PrivateTmp {
		t.Errorf("the unit has %+v, the code %+v", got, known)
	}
}
