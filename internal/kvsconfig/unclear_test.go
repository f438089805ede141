package kvsconfig_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

// wrong is a configuration that cannot be followed.
func wrong(c kvsconfig.ListedConfig) kvsconfig.ListedConfig {
	c.Config.RecorderConfig.MediaSourceConfig.MediaUriSecretArn = ""
	return c
}

// knowledge takes what a hub says to be known: "all", "all but gate", "not all".
func knowledge(said chan<- string) func(*kvsconfig.Options) {
	return func(o *kvsconfig.Options) {
		o.Timing.ListOnlyEvery = 10 * time.Millisecond
		all := false
		o.Applied = func(now bool, unclear []string) {
			all = all || now
			text := "not all"
			if all {
				text = strings.TrimSuffix("all but "+strings.Join(unclear, ", "), " but ")
			}
			said <- text
		}
	}
}

// await waits until a hub says something.
func await(t *testing.T, said <-chan string, want string) {
	t.Helper()
	last := "nothing"
	for deadline := time.After(configtest.Patience); last != want; {
		select {
		case last = <-said:
		case <-deadline:
			t.Fatalf("it says that %s is known, want %s", last, want)
		}
	}
}

// TestAStreamThatNobodyCanTellHowIsNamed has a hub with cam and gate, of which something about gate cannot be followed.
func TestAStreamThatNobodyCanTellHowIsNamed(t *testing.T) {
	t.Parallel()
	offline := health.SystemFault("offline", nil, "Nobody can be reached.")
	const at = 1_700_000_000
	for name, row := range map[string]struct {
		before func(t *testing.T) kvsconfig.ListedConfig            // of gate, listed before the hub is started again
		change func(t *testing.T, path string)                      // of config.json
		then   func(t *testing.T, hub *testHub, said <-chan string) // from "nothing known" on
	}{
		"it is listed wrong, and then right": {then: func(t *testing.T, hub *testHub, said <-chan string) {
			hub.kvs.Set(listed(t, "cam", at), wrong(listed(t, "gate", at)))
			await(t, said, "all but gate")
			hub.kvs.Set(listed(t, "cam", at), listed(t, "gate", at+1))
			await(t, said, "all")
		}},
		"it is listed wrong, and no longer": {then: func(t *testing.T, hub *testHub, said <-chan string) {
			hub.kvs.Set(listed(t, "cam", at), wrong(listed(t, "gate", at)))
			await(t, said, "all but gate")
			hub.kvs.Set(listed(t, "cam", at))
			await(t, said, "all")
		}},
		"it is listed wrong, with a version from before": {
			before: func(t *testing.T) kvsconfig.ListedConfig { return listed(t, "gate", at) },
			then: func(t *testing.T, hub *testHub, said <-chan string) {
				hub.kvs.Set(listed(t, "cam", at), wrong(listed(t, "gate", at+1)))
				await(t, said, "all")
				hub.awaitCondition("config-refused/gate", "refused")
				await(t, said, "all")
			}},
		"it is for another hub": {then: func(t *testing.T, hub *testHub, said <-chan string) {
			hub.kvs.Set(listed(t, "cam", at))
			await(t, said, "all")
			hub.inbox.put(push{config: elsewhere(listed(t, "gate", at)).StreamConfig})
			hub.awaitCondition("config-refused/gate", "this hub is")
			await(t, said, "all")
		}},
		"a message is wrong": {then: func(t *testing.T, hub *testHub, said <-chan string) {
			hub.kvs.Set(listed(t, "cam", at))
			await(t, said, "all")
			hub.kvs.FailWith(offline)
			hub.inbox.put(push{config: wrong(listed(t, "gate", at)).StreamConfig})
			await(t, said, "all but gate")
		}},
		"it was wrong before, and nobody is reached": {
			before: func(t *testing.T) kvsconfig.ListedConfig { return wrong(listed(t, "gate", at)) },
			then:   func(t *testing.T, hub *testHub, said <-chan string) { await(t, said, "all but gate") }},
		"the disk has it no more, and nobody is reached": {
			before: func(t *testing.T) kvsconfig.ListedConfig { return listed(t, "gate", at) },
			change: func(t *testing.T, path string) { damageEntry(t, path, "gate") },
			then:   func(t *testing.T, hub *testHub, said <-chan string) { await(t, said, "all but gate") }},
		"nothing from before, nobody is reached, and others want streams": {then: func(t *testing.T, hub *testHub, said <-chan string) {
			hub.awaitCondition(codeList, "cannot be listed")
			hub.inbox.put(pushed(t, "cam", at))
			hub.applier.Await(t, "cam")
			hub.stop()
			for len(said) > 0 {
				if got := <-said; got != "not all" {
					t.Errorf("it says that %s is known", got)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if row.before != nil {
				hub := newTestHub(t, dir, func(o *kvsconfig.Options) { o.Timing.ListOnlyEvery = 10 * time.Millisecond })
				hub.kvs.Set(listed(t, "cam", at), row.before(t))
				hub.run()
				hub.kvs.Await(t, 2)
				hub.stop()
			}
			if row.change != nil {
				row.change(t, filepath.Join(dir, lastGoodFile))
			}
			for range 2 { // what the disk cannot tell any more is not forgotten by a start
				said := make(chan string, 10000)
				hub := newTestHub(t, dir, knowledge(said), func(o *kvsconfig.Options) { o.Others = func() bool { return true } })
				hub.kvs.FailWith(offline)
				hub.run()
				row.then(t, hub, said)
				if hub.stop(); row.before == nil {
					return
				}
			}
		})
	}
}

// damageEntry takes from a last good set what a stream's configuration needs.
func damageEntry(t *testing.T, path, stream string) {
	t.Helper()
	dir := statefile.At(filepath.Dir(path), atomicfile.OS{})
	var doc struct {
		Version int
		Streams []map[string]any
	}
	err := dir.Read(filepath.Base(path), &doc)
	for _, s := range doc.Streams {
		if s["StreamName"] == stream {
			s["EdgeConfig"] = json.RawMessage(`{"HubDeviceArn":"` + configtest.Hub + `"}`)
		}
	}
	if err := errors.Join(err, os.Remove(path), dir.Write(filepath.Base(path), doc)); err != nil {
		t.Fatal(err)
	}
}
