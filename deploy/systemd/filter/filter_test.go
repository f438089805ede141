package filter

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func words(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	found, err := Words(file)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func groups(t *testing.T, version string) Groups {
	t.Helper()
	file, err := os.Open("testdata/groups-" + version)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	table, err := ReadGroups(file)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTheUnitItselfHasNoSystemCallFilter(t *testing.T) {
	t.Parallel()
	if found := words(t, "../kvs-edge-agent.service"); len(found) > 0 {
		t.Errorf("the unit has the filter %q; it belongs into system-calls.conf", found)
	}
}

func TestTheDropInNamesOnlyGroupsOfVersion231(t *testing.T) {
	t.Parallel()
	known := groups(t, "231")
	for _, word := range words(t, "../system-calls.conf") {
		if strings.HasPrefix(word, "@") && known[word] == nil {
			t.Errorf("systemd 231 has no group %s", word)
		}
		if strings.HasPrefix(word, "~") {
			t.Errorf("%s: the list permits, it does not forbid", word)
		}
	}
}

// Where systemd knows no groups, the single calls must be enough.
func TestTheDropInNeedsNoGroups(t *testing.T) {
	t.Parallel()
	list := words(t, "../system-calls.conf")
	without := Allowed(list, groups(t, "219"))
	with := Allowed(list, groups(t, "231"))
	for _, call := range with {
		// The kernel never had these two.
		if !slices.Contains(without, call) && call != "epoll_ctl_old" && call != "epoll_wait_old" {
			t.Errorf("%s is permitted by a group only", call)
		}
	}
	for i, word := range list {
		if slices.Contains(list[:i], word) {
			t.Errorf("%s is listed twice", word)
		}
	}
}

func TestTheDropInForbidsWhatNeedsPrivileges(t *testing.T) {
	t.Parallel()
	table := groups(t, "252")
	forbidden := Allowed([]string{
		"@privileged", "@mount", "@debug", "@keyring", "@memlock", "@obsolete", "@cpu-emulation", "@aio", "@setuid", "@resources",
		"setns", "unshare", "execveat", "~@default", "~@chown", "~adjtimex", "~clock_adjtime", "~clock_adjtime64",
	}, table)
	for _, call := range Allowed(words(t, "../system-calls.conf"), table) {
		if slices.Contains(forbidden, call) {
			t.Errorf("the drop-in permits %s", call)
		}
	}
	if len(forbidden) < 60 {
		t.Errorf("only %d calls were compared", len(forbidden))
	}
}

func TestAFilterIsReadAsSystemdReadsIt(t *testing.T) {
	t.Parallel()
	table, err := ReadGroups(strings.NewReader("# a comment\n@default: exit\n@io: read @more\n@more: write\n"))
	if err != nil {
		t.Fatal(err)
	}
	unit := "[Service]\nSystemCallFilter=@io @unknown\n#SystemCallFilter=x\nSystemCallFilter=~write exit\nSystemCallFilter=open\n"
	list, err := Words(strings.NewReader(unit))
	if err != nil {
		t.Fatal(err)
	}
	if got := Allowed(list, table); !slices.Equal(got, []string{"open", "read"}) {
		t.Errorf("permitted are %q of %q", got, list)
	}
	if _, err := ReadGroups(strings.NewReader("read write\n")); err == nil {
		t.Error("a line without a group was accepted")
	}
}
