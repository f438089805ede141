// Package awsplayer runs AWS's own video player, that of Grafana and IoT TwinMaker, against a stand-in for AWS, and compares what it finds
// with what exists. It must not know who writes to AWS IoT SiteWise.
package awsplayer

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// dir is where `make player` installs the player, below the top of the repository.
const dir = ".ci/player"

// Span is a range of times, in ms since 1970.
type Span struct {
	Start, End int64
	Src        string // of uploaded video: the URL to play
}

// Found is what the player finds of a camera. Each span is a row, as SiteWise has it.
type Found struct{ Uploaded, Edge []Span }

// Need skips the test where the player is not installed, or fails it as testtools.Need does. top is the top of the repository.
func Need(t *testing.T, top string) {
	t.Helper()
	testtools.Need(t, "node")
	if _, err := os.Stat(filepath.Join(top, dir, "node_modules")); err == nil {
		return
	}
	if os.Getenv(testtools.RequireVariable) != "" {
		t.Fatal("AWS's player is not installed: run `make player`")
	}
	t.Skip("AWS's player is not installed: run `make test-player` to run this test")
}

// Ask runs the player's getAvailableTimeRanges. env is that of the user of the cloud, with AWS_CA_BUNDLE, as NAME=value.
func Ask(t *testing.T, top string, env []string, workspace, entity string, from, to time.Time) (out Found) {
	t.Helper()
	Need(t, top)
	command := exec.CommandContext(t.Context(), "node", "ranges.mjs", workspace, entity, "EdgeVideo", from.Format(time.RFC3339Nano),
		to.Format(time.RFC3339Nano))
	command.Dir = filepath.Join(top, dir)
	command.Env = append(slices.Clone(env), "NODE_NO_WARNINGS=1")
	for _, v := range env {
		if file, found := strings.CutPrefix(v, "AWS_CA_BUNDLE="); found {
			command.Env = append(command.Env, "NODE_EXTRA_CA_CERTS="+file)
		}
	}
	var complaints strings.Builder
	command.Stderr = &complaints
	text, err := command.Output()
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatalf("AWS's player: %v\n%s", err, &complaints)
	}
	return out
}

// Join makes one span of those that are less than a second apart. Spans that end before they begin are nothing that a player shows.
func Join(list []Span) (all []Span) {
	list = slices.DeleteFunc(slices.Clone(list), func(s Span) bool { return s.End <= s.Start })
	slices.SortFunc(list, func(a, b Span) int { return int(a.Start - b.Start) })
	for _, s := range list {
		if n := len(all); n > 0 && s.Start-all[n-1].End < 1000 {
			all[n-1].End = max(all[n-1].End, s.End)
			continue
		}
		all = append(all, Span{Start: s.Start, End: s.End})
	}
	return all
}

// Same reports whether two lists of spans differ by a second at most at each of their ends.
func Same(a, b []Span) bool {
	near := func(a, b int64) bool { return max(a-b, b-a) <= 1000 }
	return slices.EqualFunc(a, b, func(a, b Span) bool { return near(a.Start, b.Start) && near(a.End, b.End) })
}
