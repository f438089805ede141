package preflight

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// DropInName is the file that `check --write-drop-in` writes beside the unit.
const DropInName = "kvs-edge-agent-paths.conf"

// resolved follows the symbolic links of a path, of which the last parts need not exist yet.
func resolved(path string) string {
	at, _ := existing(path)
	real, err := filepath.EvalSymlinks(at)
	if err != nil {
		return path // nobody but the service may look, perhaps
	}
	return filepath.Join(real, strings.TrimPrefix(path, at))
}

// obstruction is a path that the sandbox keeps from the service.
type obstruction struct {
	text   string   // what is wrong and what to do
	dropIn []string // the lines of a drop-in that allow it; none when no drop-in can
}

// obstructions finds the paths that the sandbox keeps from the service. real follows symbolic links.
func (s Sandbox) obstructions(paths []settings.Path, real func(string) string) (list []obstruction) {
	for _, p := range paths {
		path := real(p.Path)
		rule := s.ruleFor(path)
		if rule.access == writeAccess || rule.access == readAccess && !p.Write {
			continue
		}
		what := "read"
		if p.Write {
			what = "write to"
		}
		o := obstruction{
			text:   fmt.Sprintf("%s: the service may not %s %s, as its unit has %s", p.Variable, what, p.Path, rule.by),
			dropIn: rule.allow(path, p.Write),
		}
		switch {
		case rule.access == hiddenAccess:
			o.text = fmt.Sprintf("%s: %s is a temporary directory, and the service has one of its own instead (%s): name another.",
				p.Variable, p.Path, rule.by)
		case o.dropIn == nil:
			o.text += ": take it out there, or name another path."
		default:
			o.text += fmt.Sprintf(": name another path, or put %s into a drop-in, which `kvs-edge-agent check --write-drop-in` writes.",
				strings.Join(o.dropIn, " and "))
		}
		list = append(list, o)
	}
	return list
}

// allow returns the lines of a drop-in that allow what the rule does not; nil when none can.
func (r pathRule) allow(path string, write bool) (lines []string) {
	switch {
	case r.access == readAccess && r.by != "ReadOnlyPaths=" && r.by != "BindReadOnlyPaths=":
		return []string{writable(path)}
	case r.by == "ProtectHome=yes":
		lines = []string{"ProtectHome=read-only"}
		if write {
			lines = append(lines, writable(path))
		}
		return lines
	case r.by == "ProtectHome=tmpfs" && write:
		return []string{"BindPaths=-" + path}
	case r.by == "ProtectHome=tmpfs":
		return []string{"BindReadOnlyPaths=-" + path}
	default:
		return nil
	}
}

// writable is the line for a path. Without the - the service would not start while the path does not exist.
func writable(path string) string { return "ReadWritePaths=-" + path }

// DropIn returns the lines of a drop-in for the unit with which the service may use the paths of its settings, and
// what no drop-in can allow.
func (u Unit) DropIn(lookup func(string) (string, bool)) (lines, faults []string) {
	for _, o := range u.Sandbox.obstructions(settings.PathsFromEnv(lookup), resolved) {
		if o.dropIn == nil {
			faults = append(faults, o.text)
		}
		for _, line := range o.dropIn {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines, faults
}

// checkSandbox says which paths the service may not use although its user may.
func (c *checker) checkSandbox() {
	const check = "sandbox"
	if c.o.Unit == nil {
		return
	}
	s := c.o.Unit.Sandbox
	list := s.obstructions(settings.PathsFromEnv(c.o.Getenv), resolved)
	for _, o := range list {
		c.bad(check, o.text)
	}
	if len(list) == 0 {
		c.good(check, fmt.Sprintf("The service's sandbox (ProtectSystem=%s, ProtectHome=%s) allows all paths of its settings.",
			cmp.Or(s.ProtectSystem, "no"), cmp.Or(s.ProtectHome, "no")))
	}
}
