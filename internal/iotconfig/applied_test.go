package iotconfig

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
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
			hub := listOnlyHub(t, dir, nil)
			hub.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing))
			hub.run()
			hub.awaitApply("cam")
			hub.stop()
			c.file(t, filepath.Join(dir, lastGoodFile))

			applied := make(chan struct{}, 100)
			hub = listOnlyHub(t, dir, func() { applied <- struct{}{} })
			if hub.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing)); !c.answer {
				hub.kvs.failWith(denied)
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
				t.Error("the configuration is taken for known")
			}
		})
	}
}

// TestHalfAnAnswerIsNotTheConfiguration has a hub learn of some streams: by a listing with a record that nobody can tell
// the stream of, and by a message. What of the others is to be kept is not known by that.
func TestHalfAnAnswerIsNotTheConfiguration(t *testing.T) {
	t.Parallel()
	applied := make(chan struct{}, 100)
	hub := listOnlyHub(t, t.TempDir(), func() { applied <- struct{}{} })
	hub.timing.listOnly = 10 * time.Millisecond
	nameless := listedAs(t, "door", 1_700_000_000, syncing)
	nameless.StreamName = "../door"
	hub.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing), nameless)
	hub.run()
	hub.awaitApply("cam")
	hub.awaitListing(4) // the first one is done with by then
	hub.inbox.put(message{topic: hub.topics.update, payload: updateOf("yard", 1_700_000_000), ack: func() {}})
	hub.awaitApply("cam", "yard")
	hub.inbox.put(message{topic: hub.topics.update, payload: updateOf("zoo", 1_700_000_000), ack: func() {}})
	hub.awaitApply("cam", "yard", "zoo") // the first message is done with
	if len(applied) > 0 {
		t.Error("half an answer is taken for the configuration")
	}
	hub.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing), listedAs(t, "yard", 1_700_000_000, syncing))
	select {
	case <-applied:
	case <-time.After(patience):
		t.Error("a complete listing is not taken for the configuration")
	}
}

// TestMessagesAreTheConfigurationWhereNothingCanBeListed has a hub of which the role may not list: all that the cloud ever
// tells it comes by messages. One that cannot reach the control plane knows no more by them.
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
			hub := listOnlyHub(t, t.TempDir(), func() {
				select {
				case applied <- struct{}{}:
				default:
				}
			})
			hub.kvs.failWith(c.err)
			hub.run()
			hub.awaitListing(2) // the first one is done with by then
			if len(applied) > 0 {
				t.Error("nobody has told anything yet")
			}
			hub.inbox.put(message{topic: hub.topics.update, payload: updateOf("yard", 1_700_000_000), ack: func() {}})
			hub.awaitApply("yard")
			hub.inbox.put(message{topic: hub.topics.update, payload: updateOf("zoo", 1_700_000_000), ack: func() {}})
			hub.awaitApply("yard", "zoo") // the first message is done with
			if got := len(applied) > 0; got != c.want {
				t.Errorf("the configuration is known: %v", got)
			}
		})
	}
}

// listOnlyHub is a hub without MQTT.
func listOnlyHub(t *testing.T, dir string, applied func()) *testHubSource {
	return newTestHub(t, "", dir, nil, func(o *Options) { o.NoTLS, o.Applied = "a test", applied })
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
	if err := (stateDir{path: filepath.Dir(path), files: atomicfile.OS{}}).write(lastGoodFile, lastGood{Version: lastGoodVersion + 1}); err != nil {
		t.Fatal(err)
	}
}
