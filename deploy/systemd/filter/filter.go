// Package filter applies the system call filter of a unit to a process as a given version of systemd
// would: from that version's own table of groups, without that systemd. It is for tests.
package filter

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Groups are the groups of system calls that a version of systemd knows, by name ("@clock").
type Groups map[string][]string

// ReadGroups reads a table of lines such as "@timer: alarm times", with comments.
func ReadGroups(r io.Reader) (Groups, error) {
	groups := make(Groups)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		name, calls, ok := strings.Cut(lines.Text(), ":")
		if !ok || !strings.HasPrefix(name, "@") {
			return nil, fmt.Errorf("%q is not a group and its calls", lines.Text())
		}
		groups[name] = strings.Fields(calls)
	}
	return groups, lines.Err()
}

// Words returns the words of all SystemCallFilter= lines of a unit or drop-in, in their order. The
// words of a line that begins with ~ each begin with ~.
func Words(r io.Reader) ([]string, error) {
	var words []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "SystemCallFilter=")
		if !ok {
			continue
		}
		value, inverted := strings.CutPrefix(value, "~")
		for word := range strings.FieldsSeq(value) {
			if inverted {
				word = "~" + word
			}
			words = append(words, word)
		}
	}
	return words, lines.Err()
}

// Allowed lists, sorted, the calls that the words of an allow-list permit where systemd knows these
// groups. A group that is not known is ignored, as config_parse_syscall_filter of every version does.
// Source: systemd, src/core/load-fragment.c and src/shared/seccomp-util.c.
func Allowed(words []string, groups Groups) []string {
	allowed := make(map[string]bool)
	groups.apply(allowed, "@default", true)
	for _, word := range words {
		name, inverted := strings.CutPrefix(word, "~")
		groups.apply(allowed, name, !inverted)
	}
	return slices.Sorted(maps.Keys(allowed))
}

func (g Groups) apply(allowed map[string]bool, name string, add bool) {
	switch {
	case strings.HasPrefix(name, "@"):
		for _, member := range g[name] {
			g.apply(allowed, member, add)
		}
	case add:
		allowed[name] = true
	default:
		delete(allowed, name)
	}
}
