package kvsconfig_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

// The file and the codes that are checked.
const (
	lastGoodFile = "config.json"
	codeState    = "config-state"
	codeList     = "control-plane"
)

// TestAppliedIsCalledOnceTheConfigurationIsKnown starts hubs with the last good set, without one, and with a damaged
// one; without a network, and with an answer.
func TestAppliedIsCalledOnceTheConfigurationIsKnown(t *testing.T) {
	t.Parallel()
	denied := health.UserFault("denied", nil, "The hub's role may not list.")
	for name, c := range map[string]struct {
		file   func(t *testing.T, path string)
		answer bool // of the control plane
		want   bool
	}{
		"the last good set, offline":          {file: func(*testing.T, string) {}, want: true},
		"none, offline":                       {file: remove},
		"damaged, offline":                    {file: damage},
		"of another version, offline":         {file: another},
		"none, and the cloud has answered":    {file: remove, answer: true, want: true},
		"damaged, and the cloud has answered": {file: damage, answer: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			hub := newTestHub(t, dir)
			hub.kvs.Set(listed(t, "cam", 1_700_000_000))
			hub.run()
			hub.applier.Await(t, "cam")
			hub.stop()
			c.file(t, filepath.Join(dir, lastGoodFile))

			applied := make(chan struct{}, 100)
			hub = newTestHub(t, dir, appliedTo(func() { applied <- struct{}{} }))
			if hub.kvs.Set(listed(t, "cam", 1_700_000_000)); !c.answer {
				hub.kvs.FailWith(denied)
			}
			hub.run()
			if !c.answer {
				hub.awaitCondition(codeList, "may not list") // long after the start
			}
			if c.want {
				<-applied
			}
			hub.stop()
			if !c.want && len(applied) > 0 {
				t.Error("the configuration is treated as known")
			}
		})
	}
}

// TestHalfAnAnswerIsNotTheConfiguration has a hub learn of some streams: by a listing with a record whose stream is not
// known, and by a message. Neither says which other streams are to be kept.
func TestHalfAnAnswerIsNotTheConfiguration(t *testing.T) {
	t.Parallel()
	applied := make(chan struct{}, 100)
	hub := newTestHub(t, t.TempDir(), appliedTo(func() { applied <- struct{}{} }), func(o *kvsconfig.Options) {
		o.Timing.ListOnlyEvery = 10 * time.Millisecond
	})
	nameless := listed(t, "door", 1_700_000_000)
	nameless.StreamName = "../door"
	hub.kvs.Set(listed(t, "cam", 1_700_000_000), nameless)
	hub.run()
	hub.applier.Await(t, "cam")
	hub.kvs.Await(t, 4) // the first one is done with by then
	hub.inbox.put(pushed(t, "yard", 1_700_000_000))
	hub.applier.Await(t, "cam", "yard")
	hub.inbox.put(pushed(t, "zoo", 1_700_000_000))
	hub.applier.Await(t, "cam", "yard", "zoo") // the first message is done with
	if len(applied) > 0 {
		t.Error("half an answer is treated as the configuration")
	}
	hub.kvs.Set(listed(t, "cam", 1_700_000_000), listed(t, "yard", 1_700_000_000))
	select {
	case <-applied:
	case <-time.After(configtest.Patience):
		t.Error("a complete listing is not treated as the configuration")
	}
}

// TestMessagesAreTheConfigurationWhereNothingCanBeListed has a hub whose role may not list: all that the cloud ever
// sends it comes in messages. For one that cannot reach the control plane messages are not the whole configuration.
func TestMessagesAreTheConfigurationWhereNothingCanBeListed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"it may not list":         {health.UserFault("denied", nil, "The hub's role may not list."), true},
		"nobody can be reached":   {health.SystemFault("offline", nil, "Nobody can be reached."), false},
		"it was not even refused": {context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			applied := make(chan struct{}, 100)
			hub := newTestHub(t, t.TempDir(), appliedTo(func() {
				select {
				case applied <- struct{}{}:
				default:
				}
			}))
			hub.kvs.FailWith(c.err)
			hub.run()
			hub.kvs.Await(t, 2) // the first one is done with by then
			if len(applied) > 0 {
				t.Error("nobody has told anything yet")
			}
			hub.inbox.put(pushed(t, "yard", 1_700_000_000))
			hub.applier.Await(t, "yard")
			hub.inbox.put(pushed(t, "zoo", 1_700_000_000))
			hub.applier.Await(t, "yard", "zoo") // the first message is done with
			if got := len(applied) > 0; got != c.want {
				t.Errorf("the configuration is known: %v", got)
			}
		})
	}
}

// appliedTo has a function called when the configuration is applied.
func appliedTo(f func()) func(*kvsconfig.Options) {
	return func(o *kvsconfig.Options) {
		o.Applied = func(all bool, _ []string) {
			if all {
				f()
			}
		}
	}
}

func remove(t *testing.T, path string) {
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func damage(t *testing.T, path string) {
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func another(t *testing.T, path string) {
	if err := statefile.At(filepath.Dir(path), atomicfile.OS{}).Write(lastGoodFile, map[string]any{"Version": 2}); err != nil {
		t.Fatal(err)
	}
}
