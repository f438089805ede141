package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// evil are texts that must never be shown as they came.
var evil = testtools.EvilTexts

// mustBeClean fails for a text that could harm its reader's terminal.
func mustBeClean(t *testing.T, text string, limit int) {
	t.Helper()
	if why := testtools.Harm(text, limit); why != "" {
		t.Errorf("%.200q %s", text, why)
	}
}

func TestCleanTextsHarmNobody(t *testing.T) {
	t.Parallel()
	for name, text := range evil {
		for _, limit := range []int{1, 2, MaxPart, MaxText} {
			clean := Clean(text, limit)
			mustBeClean(t, clean, limit)
			if again := Clean(clean, limit); again != clean {
				t.Errorf("%s: cleaned twice it is %q and not %q", name, again, clean)
			}
		}
	}
	for text, want := range map[string]string{
		"plain":            "plain",
		"":                 "",
		"über 25 °C, 日本 …": "über 25 °C, 日本 …",
		"a\tb\u00a0c":      "a b c",
		"\x1b[2Jx":         "\ufffd[2Jx",
		"a\x00\x01\x02b":   "a\ufffdb",
	} {
		if got := Clean(text, MaxPart); got != want {
			t.Errorf("Clean(%q) is %q, want %q", text, got, want)
		}
	}
	if got := Clean("12345", 4); got != "123…" {
		t.Errorf("cut it is %q", got)
	}
	if got := Clean("1234", 4); got != "1234" {
		t.Errorf("what fits is cut: %q", got)
	}
}

// textual is an error, a Stringer or a text of another type.
type textual string

func (e textual) Error() string { return string(e) }

// TestNoSentenceShowsEvilTexts puts texts from outside into sentences in every way there is.
func TestNoSentenceShowsEvilTexts(t *testing.T) {
	t.Parallel()
	const remedy = "check the camera."
	type name string
	for what, text := range evil {
		for how, f := range map[string]*Fault{
			"text":         UserFault("x", nil, "It is %s: "+remedy, text),
			"quoted":       UserFault("x", nil, "It is %q: "+remedy, text),
			"error":        SystemFault("x", nil, "It is %v: "+remedy, errors.New(text)),
			"another type": SystemFault("x", nil, "It is %v: "+remedy, name(text)),
			"typed error":  NewFault(UserError, "x", nil, "It is %v: "+remedy, textual(text)),
			"varying":      SystemFault("x", nil, "It is %v: "+remedy, Varying(text)),
			"list":         SystemFault("x", nil, "%v", []string{text}),
			"struct":       SystemFault("x", nil, "%+v", struct{ A string }{text}),
			"other error":  FaultOf(errors.New(text), "x"),
			"recoded":      UserFault("x", nil, "a").Recode("y", text),
			"nested":       SystemFault("x", nil, "Outside: %v", UserFault("y", nil, "Inside: %s", text)),
			"cause":        SystemFault("x", errors.New(text), "Plain: "+remedy),
			"no argument":  SystemFault("x", nil, text), //nolint:govet // a format from outside
		} {
			t.Run(what+", "+how, func(t *testing.T) {
				mustBeClean(t, f.Error(), MaxText)
				if strings.HasPrefix(f.Text, "It is ") && !strings.HasSuffix(f.Text, remedy) {
					t.Errorf("what to do is lost: %q", f.Text)
				}
				part := NewRegistry(time.Now).Component("door", JobRecorder)
				part.Report(ScopeRecord, Failed, f)
				part.SetState(text)
				shown, err := json.Marshal(part.Snapshot())
				if err != nil {
					t.Fatal(err)
				}
				mustBeClean(t, string(shown), 3*MaxText)
			})
		}
		part := NewRegistry(time.Now).Component("door", JobRecorder)
		part.Report(ScopeRecord, Failed, &Fault{Text: text, Code: "x"})
		c, _ := part.Snapshot().Worst()
		mustBeClean(t, c.Text, MaxText)
	}
}

// FuzzClean looks for a text that stays dangerous.
func FuzzClean(f *testing.F) {
	for _, text := range evil {
		f.Add(text, MaxPart)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(limit%2000, 1)
		mustBeClean(t, Clean(text, limit), limit)
	})
}

// TestWhatTheHubLacksIsSaid has failures of all kinds whose cause is a limit of the hub.
func TestWhatTheHubLacksIsSaid(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	for name, row := range map[string]struct {
		fault *Fault
		want  []string
	}{
		"a camera": {
			SystemFault("camera", fmt.Errorf("a session: %w", dial), "The camera at 10.0.0.1:554 refuses connections: check that it is on."),
			[]string{"The camera at 10.0.0.1:554 refuses connections: too many open files", "LimitNOFILE", fmt.Sprint(MaxOpenFiles())},
		},
		"a disk": {SystemFault("disk", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EMFILE}, "The disk of /x has errors: replace it."),
			[]string{"The disk of /x has errors: too many open files", "LimitNOFILE"}},
		"an argument": {SystemFault("disk", nil, "The disk of %s failed: %v.", "/x", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EMFILE}),
			[]string{"The disk of /x failed: too many open files", "LimitNOFILE"}},
		"a resolver": {
			SystemFault("camera", &net.DNSError{Err: "dial udp 127.0.0.53:53: socket: too many open files"}, "The name is not known: check DNS."),
			[]string{"The name is not known: too many open files"},
		},
		"the whole hub": {SystemFault("disk", syscall.ENFILE, "It fails: replace it."), []string{"too many open files on this hub",
			"fs.file-max"}},
		"memory":         {SystemFault("disk", syscall.ENOMEM, "The disk fails: replace it."), []string{"no memory left"}},
		"buffers":        {SystemFault("camera", syscall.ENOBUFS, "The camera fails."), []string{"The camera fails: the hub has no buffers"}},
		"any error":      {FaultOf(dial, "cloud"), []string{"too many open files", "LimitNOFILE"}},
		"something else": {SystemFault("camera", syscall.ECONNREFUSED, "It refuses: check it."), []string{"It refuses: check it."}},
	} {
		for _, want := range row.want {
			if !strings.Contains(row.fault.Text, want) {
				t.Errorf("%s: %q does not say %q", name, row.fault.Text, want)
			}
		}
	}
	f := SystemFault("camera", dial, "It failed: check the disk.")
	if strings.Contains(f.Text, "check the disk") || !errors.Is(f, syscall.EMFILE) {
		t.Errorf("%q, caused by %v", f.Text, f.Err)
	}
}
