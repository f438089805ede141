package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

func TestOrphansAreListedKeptAndDeletedByName(t *testing.T) {
	inWorlds(t, orphansAreListedKeptAndDeletedByName)
}

// orphansAreListedKeptAndDeletedByName has recordings of a stream that is not configured, beside one that is.
func orphansAreListedKeptAndDeletedByName(t *testing.T, w world) {
	s := newSite(t, w)
	s.backlog("old", 5)
	s.configure("door", "rtsp://127.0.0.1:1/gone", func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{EdgeRetentionInHours: aws.Int32(48)}
	})
	s.startAgent()
	run := func(args ...string) (stdout, stderr string, code int) {
		t.Helper()
		return s.command(append(args, "--socket", s.agent.socket)...)
	}
	var list []listedStream
	s.eventually("door is configured", func() error {
		out, text, code := run("streams", "--json")
		if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 2 || list[0].Stream != "door" {
			return fmt.Errorf("%d: %s%s", code, out, text)
		}
		return nil
	})
	if o := list[1]; o.Stream != "old" || o.State != stateOrphan || o.Segments == 0 || o.NotUploadedBytes == 0 ||
		!strings.Contains(o.Policy, "kept for") {
		t.Errorf("%+v", o)
	}
	out, _, _ := run("status")
	if !strings.Contains(out, "The stream is not configured for this hub; its ") ||
		!strings.Contains(out, "`kvs-edge-agent streams delete old`") {
		t.Errorf("status says\n%s", out)
	}
	var only status.Snapshot
	if out, _, _ := run("status", "--stream", "old", "--json"); json.Unmarshal([]byte(out), &only) != nil || len(only.Streams) != 0 ||
		len(only.Orphans) != 1 {
		t.Errorf("status of the orphan alone says\n%s", out)
	}
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"streams delete old", "add --yes", 2},
		{"streams delete", "name one stream", 2},
		{"streams delete --yes door", "Stream door is configured for this hub", 1},
		{"streams delete --yes ../old", "There are no recordings of a stream ../old", 1},
	} {
		if out, text, code := run(strings.Fields(c.args)...); code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d, %s%s", c.args, code, out, text)
		}
	}
	dir := filepath.Join(s.recordings(), "old")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("refused, but it is gone: %v", err)
	}
	if out, text, code := run("streams", "delete", "old", "-y"); code != 0 || !strings.Contains(out, "of stream old, ") {
		t.Errorf("%d: %s%s", code, out, text)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is there still: %v", err)
	}
	if out, _, _ := run("streams"); strings.Contains(out, "old") || !strings.Contains(out, "door") {
		t.Errorf("streams says\n%s", out)
	}
	if list[0].Origin == "" || list[0].Version.IsZero() || list[0].Schedule != "always" || list[0].Sync != "IN_SYNC" {
		t.Errorf("of door it lists %+v", list[0])
	}
	shown, _, code := run("streams", "show", "door")
	for _, want := range []string{"version ", "sync         IN_SYNC", "camera       arn:aws:secretsmanager:", "recorded     always",
		"kept         for 2 d"} {
		if code != 0 || !strings.Contains(shown, want) {
			t.Errorf("%d: %q is not in what is shown of door:\n%s", code, want, shown)
		}
	}
	var whole shownStream
	if out, _, _ := run("streams", "show", "door", "--json"); json.Unmarshal([]byte(out), &whole) != nil || whole.Stream != "door" ||
		whole.Record != "always" {
		t.Errorf("as JSON it shows\n%s", out)
	}
	if _, text, code := run("streams", "show", "old"); code != 1 || !strings.Contains(text, "no stream old is configured for this hub") {
		t.Errorf("of an orphan: %d, %s", code, text)
	}
	s.stopAgent()
	if _, text, code := run("streams"); code != 2 || !strings.Contains(text, "no agent is running") {
		t.Errorf("without an agent: %d, %s", code, text)
	}
}
