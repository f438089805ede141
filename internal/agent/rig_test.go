package agent

import (
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

const (
	patience = site.Patience
	thing    = site.Hub
)

// rig is an agent in this process, with the hub, the cameras and the cloud of a site.
type rig struct {
	*site.Site
	t *testing.T
}

func newRig(t *testing.T, change ...func(*localcloud.Options)) *rig {
	t.Helper()
	return &rig{Site: site.New(t, change...), t: t}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// agent is the hub's, not yet running.
func (h *rig) agent() *Agent {
	h.t.Helper()
	a, err := New(h.Settings(), Options{Version: "test"})
	must(h.t, err)
	return a
}

// recordings lists the files of all streams on the hub.
func (h *rig) recordings() []string {
	h.t.Helper()
	var list []string
	root := h.Env[settings.EnvRecordingDirectory]
	must(h.t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && path != root && filepath.Dir(path) != root || err == nil && path != root && entry.IsDir() {
			list = append(list, path)
		}
		return err
	}))
	return list
}

// streamGoroutines shows the goroutines that work for a stream: its jobs and their connections.
func streamGoroutines() string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		for _, part := range []string{"internal/recorder.", "internal/camera.", "internal/clip.", "internal/uploader.", "internal/cloud/kvs.",
			"internal/agent.startJob", "gortsplib/v4.(*Client)"} {
			if strings.Contains(stack, part) {
				found = append(found, stack)
				break
			}
		}
	}
	return strings.Join(found, "\n\n")
}
