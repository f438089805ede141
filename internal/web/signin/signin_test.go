package signin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	right = "correct horse battery"
	wrong = "incorrect horse"
)

var client = netip.MustParseAddr("192.0.2.7")

// rig is a Gate with a clock of its own.
type rig struct {
	*Gate
	t   *testing.T
	dir string
	mu  sync.Mutex
	at  time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), at: time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)}
	r.open()
	return r
}

func (r *rig) open() {
	dir, err := statefile.Open(r.dir, atomicfile.OS{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Gate = Open(Options{Dir: dir, Now: r.now, Log: zap.NewNop()})
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func (r *rig) set(role Role, password string) {
	r.t.Helper()
	if err := r.SetPassword(r.t.Context(), role, password); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) try(from netip.Addr, role Role, password string) error {
	_, err := r.ByPassword(r.t.Context(), from, role, password)
	return err
}

func TestPasswordsAreThoseOfARole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.try(client, View, right); !errors.Is(err, ErrWrong) {
		t.Errorf("without a password: %v", err)
	}
	r.set(View, right)
	for password, want := range map[string]error{right: nil, wrong: ErrWrong, "": ErrWrong, right + " ": ErrWrong} {
		if err := r.try(client, View, password); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", password, err, want)
		}
	}
	if err := r.try(client, Operate, right); !errors.Is(err, ErrWrong) {
		t.Errorf("the password of another role: %v", err)
	}
	r.open() // as after a restart
	if err := r.try(client, View, right); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, File))
	if err != nil || strings.Contains(string(text), right) || !strings.Contains(string(text), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the file has %s, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(r.dir, File)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v, %v", info.Mode(), err)
	}
	r.set(View, "")
	if err := r.try(client, View, right); !errors.Is(err, ErrWrong) {
		t.Errorf("a removed password: %v", err)
	}
	for bad, want := range map[string]string{
		"short": "has 5 characters, but must have 10 to 256", strings.Repeat("ä", 9): "has 9 characters",
		strings.Repeat("x", maxPassword+1): "has 257 characters", strings.Repeat("ä", maxPassword+1): "has 257 characters",
		"caf\xe9caf\xe9caf\xe9": "not text in UTF-8", "caf\ufffdcaf\ufffdcaf\ufffd": "not text in UTF-8",
	} {
		err := r.SetPassword(t.Context(), View, bad)
		if err == nil || strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("a password of %d bytes is refused with %v, want %q", len(bad), err, want)
		}
	}
	for _, good := range []string{strings.Repeat("ä", minPassword), strings.Repeat("€", maxPassword)} {
		r.set(View, good)
		if err := r.try(client, View, good); err != nil {
			t.Errorf("a password of %d bytes: %v", len(good), err)
		}
	}
}

func TestHashesThatAreChangedMatchNothing(t *testing.T) {
	t.Parallel()
	h := newHashing()
	made, err := h.hash(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	for hash, want := range map[string]bool{
		made: true, "": false, "plain": false, strings.Replace(made, "m=19456", "m=19457", 1): false,
		strings.Replace(made, "m=19456", "m=999999999", 1): false, strings.Replace(made, "t=2", "t=0", 1): false,
		strings.Replace(made, "v=19", "v=16", 1): false, made[:len(made)-1]: false, made + "$": false,
	} {
		if got, err := h.matches(t.Context(), hash, right); err != nil || got != want {
			t.Errorf("%q: %t, %v, want %t", hash, got, err, want)
		}
	}
}

func TestWrongPasswordsAreSlowedAndNeverLockOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(View, right)
	tries := func(from netip.Addr, n int) {
		t.Helper()
		for range n {
			if err := r.try(from, View, wrong); !errors.Is(err, ErrWrong) {
				t.Fatalf("a wrong password: %v", err)
			}
		}
	}
	waits := func(from netip.Addr, want time.Duration) {
		t.Helper()
		var wait *WaitError
		err := r.try(from, View, right)
		if !errors.As(err, &wait) || wait.For != want {
			t.Fatalf("the right password is answered with %v, want a wait of %v", err, want)
		}
	}
	tries(client, 5)
	waits(client, time.Second) // the sixth waits, also if it is right
	r.pass(999 * time.Millisecond)
	waits(client, time.Millisecond)
	r.pass(time.Millisecond)
	for _, next := range []time.Duration{2, 4, 8, 16, 32, 60, 60, 60} { // seconds
		tries(client, 1)
		waits(client, next*time.Second)
		r.pass(next * time.Second)
	}
	if err := r.try(netip.MustParseAddr("192.0.2.8"), View, right); err != nil {
		t.Errorf("from another address: %v", err)
	}
	if err := r.try(client, View, right); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	tries(client, 5) // the right one began the count again
	waits(client, time.Second)
	r.pass(forgetAfter)
	tries(client, 5) // and so does time
	tries(netip.MustParseAddr("2001:db8:1:2::1"), 3)
	tries(netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), 2)
	waits(netip.MustParseAddr("2001:db8:1:2:ffff::"), time.Second) // one network
	tries(netip.MustParseAddr("2001:db8:1:3::1"), 1)
}

// TestWhoKnowsOnePasswordGuessesNoOther faster: a right password of a role takes back the wrong ones of that role alone.
func TestWhoKnowsOnePasswordGuessesNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(View, right)
	r.set(Operate, right+"2")
	for n := range freeTries {
		if err := r.try(client, Operate, wrong); !errors.Is(err, ErrWrong) {
			t.Fatalf("try %d: %v", n, err)
		}
		if err := r.try(client, View, right); err != nil {
			t.Fatal(err)
		}
	}
	var wait *WaitError
	if err := r.try(client, Operate, right+"2"); !errors.As(err, &wait) {
		t.Errorf("after %d wrong ones: %v, want a wait", freeTries, err)
	}
}

func TestTheTableOfAddressesIsBounded(t *testing.T) {
	t.Parallel()
	var s slowdown
	s.list = make(map[place]*tries)
	now := time.Now()
	for i := range 3 * maxAddresses {
		s.begin(of(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), View), now.Add(time.Duration(i)))
	}
	if len(s.list) != maxAddresses {
		t.Errorf("it has %d addresses, want %d", len(s.list), maxAddresses)
	}
}

// TestTriesAtTheSameTimeCountToo sends many wrong passwords at once: no more are checked than one after the other would be.
func TestTriesAtTheSameTimeCountToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(View, right)
	results := make(chan error, 12)
	var group sync.WaitGroup
	for range cap(results) {
		group.Go(func() { results <- r.try(client, View, wrong) })
	}
	group.Wait()
	close(results)
	checked := 0
	for err := range results {
		if errors.Is(err, ErrWrong) {
			checked++
		}
	}
	if checked != freeTries {
		t.Errorf("%d were checked, want %d", checked, freeTries)
	}
}

func TestOneHashAtATime(t *testing.T) {
	t.Parallel()
	h := newHashing()
	stored, err := h.hash(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	h.turn <- struct{}{} // one is being checked
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.matches(ended, stored, right); !errors.Is(err, context.Canceled) {
		t.Errorf("a password whose turn does not come: %v", err)
	}
	for range maxWaiting {
		h.waiting <- struct{}{}
	}
	if _, err := h.matches(t.Context(), stored, right); !errors.Is(err, ErrBusy) {
		t.Errorf("one more than may wait: %v", err)
	}
	if _, err := h.hash(t.Context(), right); err != nil {
		t.Errorf("strangers keep a password from being set: %v", err)
	}
	h.setting <- struct{}{}
	if _, err := h.hash(ended, right); !errors.Is(err, context.Canceled) {
		t.Errorf("a password that is to be set after another: %v", err)
	}
}

func TestLinksWorkOnceAndInTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	link, expires := r.Link(Operate)
	if got := expires.Sub(r.now()); got != 5*time.Minute {
		t.Errorf("a link is valid for %v", got)
	}
	token, role, err := r.ByLink(client, link)
	if err != nil || role != Operate {
		t.Fatal(role, err)
	}
	if role, _, ok := r.Session(token); !ok || role != Operate {
		t.Errorf("the session is of %q", role)
	}
	late, _ := r.Link(View)
	r.pass(linkTime)
	for what, link := range map[string]string{"used": link, "expired": late, "unknown": "x", "missing": "", "a session": token} {
		if _, _, err := r.ByLink(client, link); !errors.Is(err, ErrLink) {
			t.Errorf("a link that is %s: %v", what, err)
		}
	}
	first, _ := r.Link(View)
	for range maxLinks {
		r.pass(time.Second)
		r.Link(View)
	}
	if _, _, err := r.ByLink(client, first); !errors.Is(err, ErrLink) || len(r.links.list) != maxLinks {
		t.Errorf("%d links, the oldest: %v", len(r.links.list), err)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(View, right)
	begin := func(role Role) string {
		link, _ := r.Link(role)
		token, _, err := r.ByLink(client, link)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ended := func(what, token string) {
		t.Helper()
		if _, _, ok := r.Session(token); ok {
			t.Errorf("%s: the session has not ended", what)
		}
	}
	token := begin(View)
	r.End(token)
	ended("signed out", token)
	token, other := begin(View), begin(Operate)
	r.set(View, right+"2")
	ended("another password", token)
	if _, _, ok := r.Session(other); !ok {
		t.Error("the session of another role has ended")
	}
	token = begin(View)
	r.pass(idleTime)
	ended("unused", token)
	token = begin(View)
	for range int(SessionTime/idleTime) * 2 {
		if _, _, ok := r.Session(token); !ok {
			t.Fatal("a session in use has ended early")
		}
		r.pass(idleTime / 2)
	}
	ended("half a day", token)
	first := begin(View)
	r.pass(time.Second)
	for range maxSessions {
		begin(View)
	}
	ended("too many", first)
	ended("unknown", fmt.Sprintf("%043d", 0))
}

func TestADamagedFileLetsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(View, right)
	if err := os.WriteFile(filepath.Join(r.dir, File), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	if err := r.try(client, View, right); !errors.Is(err, ErrWrong) {
		t.Error(err)
	}
	r.set(View, right)
	if err := r.try(client, View, right); err != nil {
		t.Error(err)
	}
}
