package preflight

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// Unit is what systemd says of the service: as whom it runs, with which variables, and in which sandbox.
type Unit struct {
	User        string
	Environment map[string]string // Environment=, and the variables that StateDirectory= and similar directives set
	EnvFile     string            // of --env-file in ExecStart=; "" when it has none
	Sandbox     Sandbox
	OpenFiles   uint64 // LimitNOFILE=; 0: not known, or none
}

// Sandbox is the part of a unit that decides which paths the service may read and write.
// Source: systemd.exec(5), "Sandboxing" and "Paths".
type Sandbox struct {
	ProtectSystem string // no, yes, full, strict
	ProtectHome   string // no, yes, read-only, tmpfs
	PrivateTmp    bool
	ReadWrite     []string // ReadWritePaths=, and the directories of StateDirectory= and similar directives
	ReadOnly      []string
	Inaccessible  []string
	Bound         []string // BindPaths=, where the service sees them
	BoundReadOnly []string
}

// UnitProperties are what UnitOf reads, for `systemctl show -p`. The last are names of systemd before 231.
var UnitProperties = []string{
	"LoadState", "User", "Environment", "ExecStart", "ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "ReadOnlyPaths",
	"LimitNOFILE", "InaccessiblePaths", "BindPaths", "BindReadOnlyPaths",
	"StateDirectory", "LogsDirectory", "RuntimeDirectory", "CacheDirectory",
	"ReadWriteDirectories", "ReadOnlyDirectories", "InaccessibleDirectories",
}

// directoryRoots are where systemd makes a service's own directories, and the variables that name them.
var directoryRoots = []struct{ property, root, variable string }{
	{"StateDirectory", "/var/lib", "STATE_DIRECTORY"},
	{"LogsDirectory", "/var/log", "LOGS_DIRECTORY"},
	{"RuntimeDirectory", "/run", "RUNTIME_DIRECTORY"},
	{"CacheDirectory", "/var/cache", "CACHE_DIRECTORY"},
}

// ShippedUnit is that of the package, which holds where systemd cannot be asked.
func ShippedUnit() Unit {
	const state, logs, run = "/var/lib/kvs-edge-agent", "/var/log/kvs-edge-agent", "/run/kvs-edge-agent"
	return Unit{
		User: "kvs-edge-agent", EnvFile: "/etc/kvs-edge-agent/agent.env", OpenFiles: 65536,
		Environment: map[string]string{
			settings.EnvRecordingDirectory: state + "/recordings", settings.EnvStateDirectory: state, settings.EnvLogOutputDirectory: logs,
			settings.EnvStreamsDirectory: "/etc/kvs-edge-agent/streams.d",

			settings.EnvSocket: run + "/" + settings.SocketName, "STATE_DIRECTORY": state, "RUNTIME_DIRECTORY": run, "LOGS_DIRECTORY": logs,
		},
		Sandbox: Sandbox{
			ProtectSystem: "strict", ProtectHome: "yes", PrivateTmp: true, ReadWrite: []string{state, logs, run},
		},
	}
}

// UnitOf reads the output of `systemctl show`. ok is whether systemd knows the unit.
func UnitOf(show string) (u Unit, ok bool) {
	p := make(map[string]string)
	for line := range strings.Lines(show) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\n"), "="); found {
			p[name] = strings.TrimSpace(p[name] + " " + value) // ExecStart= comes once for each command
		}
	}
	if p["LoadState"] != "loaded" {
		return Unit{}, false
	}
	u = Unit{User: p["User"], Environment: make(map[string]string), EnvFile: envFileOf(p["ExecStart"])}
	if n, err := strconv.ParseUint(p["LimitNOFILE"], 10, 64); err == nil && n <= math.MaxInt32 { // else it is infinity
		u.OpenFiles = n
	}
	u.Sandbox = Sandbox{
		ProtectSystem: p["ProtectSystem"], ProtectHome: p["ProtectHome"],
		PrivateTmp:   p["PrivateTmp"] == "yes" || p["PrivateTmp"] == "disconnected",
		ReadWrite:    unitPaths(p["ReadWritePaths"], p["ReadWriteDirectories"]),
		ReadOnly:     unitPaths(p["ReadOnlyPaths"], p["ReadOnlyDirectories"]),
		Inaccessible: unitPaths(p["InaccessiblePaths"], p["InaccessibleDirectories"]),
		Bound:        boundPaths(p["BindPaths"]), BoundReadOnly: boundPaths(p["BindReadOnlyPaths"]),
	}
	for _, d := range directoryRoots {
		var paths []string
		for _, name := range strings.Fields(p[d.property]) {
			name, _, _ = strings.Cut(name, ":") // a symbolic link to it
			paths = append(paths, filepath.Join(d.root, name))
		}
		if len(paths) > 0 {
			u.Environment[d.variable] = strings.Join(paths, ":")
			u.Sandbox.ReadWrite = append(u.Sandbox.ReadWrite, paths...)
		}
	}
	for _, assignment := range quotedWords(p["Environment"]) {
		if name, value, found := strings.Cut(assignment, "="); found {
			u.Environment[name] = value
		}
	}
	return u, true
}

// envFileOf finds the file of --env-file in ExecStart= as systemctl shows it.
func envFileOf(execStart string) string {
	_, arguments, _ := strings.Cut(execStart, "argv[]=")
	arguments, _, _ = strings.Cut(arguments, " ;")
	words := strings.Fields(arguments)
	for i, word := range words {
		if path, found := strings.CutPrefix(word, "--env-file="); found {
			return path
		}
		if word == "--env-file" && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

// unitPaths takes lists of paths apart; a path may have the prefixes - and +.
func unitPaths(lists ...string) (paths []string) {
	for _, list := range lists {
		for _, path := range strings.Fields(list) {
			paths = append(paths, filepath.Clean(strings.TrimLeft(path, "-+")))
		}
	}
	return paths
}

// boundPaths are where BindPaths= shows something: source[:destination[:options]].
func boundPaths(list string) (paths []string) {
	for _, path := range unitPaths(list) {
		parts := strings.Split(path, ":")
		paths = append(paths, filepath.Clean(parts[min(1, len(parts)-1)]))
	}
	return paths
}

// quotedWords takes a list apart whose words may be in double quotes.
func quotedWords(list string) (words []string) {
	word, quoted, escaped := strings.Builder{}, false, false
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, c := range list {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(c)
		case c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			flush()
		default:
			word.WriteRune(c)
		}
	}
	flush()
	return words
}

// access is what the service may do with a path, the least first.
type access int

const (
	noAccess     access = iota
	hiddenAccess        // the service sees another directory under this name
	readAccess
	writeAccess
)

// pathRule is one line of the sandbox.
type pathRule struct {
	path   string
	access access
	by     string // the directive, as the unit has it
	hard   bool   // nothing below the path can be allowed again
}

// rules lists what the sandbox says of paths.
func (s Sandbox) rules() []pathRule {
	list := []pathRule{{path: "/", access: writeAccess}}
	add := func(a access, by string, hard bool, paths ...string) {
		for _, path := range paths {
			list = append(list, pathRule{path: path, access: a, by: by, hard: hard})
		}
	}
	by := "ProtectSystem=" + s.ProtectSystem
	switch s.ProtectSystem {
	case "strict":
		add(readAccess, by, false, "/")
		add(writeAccess, by, false, "/dev", "/proc", "/sys")
	case "full":
		add(readAccess, by, false, "/etc", "/usr", "/boot", "/efi")
	case "yes":
		add(readAccess, by, false, "/usr", "/boot", "/efi")
	}
	by = "ProtectHome=" + s.ProtectHome
	switch homes := []string{"/home", "/root", "/run/user"}; s.ProtectHome {
	case "yes":
		add(noAccess, by, true, homes...)
	case "read-only":
		add(readAccess, by, false, homes...)
	case "tmpfs":
		add(noAccess, by, false, homes...)
	}
	if s.PrivateTmp {
		add(hiddenAccess, "PrivateTmp=yes", false, "/tmp", "/var/tmp")
	}
	add(noAccess, "InaccessiblePaths=", true, s.Inaccessible...)
	add(readAccess, "ReadOnlyPaths=", false, s.ReadOnly...)
	add(writeAccess, "ReadWritePaths=", false, s.ReadWrite...)
	add(readAccess, "BindReadOnlyPaths=", false, s.BoundReadOnly...)
	add(writeAccess, "BindPaths=", false, s.Bound...)
	return list
}

// ruleFor finds the rule that holds for a path: one that nothing can allow again, else that of the longest path,
// and of several for one path the one that allows least.
func (s Sandbox) ruleFor(path string) pathRule {
	holding := slices.DeleteFunc(s.rules(), func(r pathRule) bool { return !below(path, r.path) })
	return slices.MaxFunc(holding, func(a, b pathRule) int {
		if a.hard != b.hard {
			return cmp.Compare(btoi(a.hard), btoi(b.hard))
		}
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), cmp.Compare(b.access, a.access))
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// below reports whether path is dir, or lies in it.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
