package mkv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// mkvinfo, which is independent of this project, finds the tags between clusters.
func TestTagsBetweenClustersAreMatroska(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "mkvinfo")
	if got := mkv.AppendTags([]byte("x"), nil); string(got) != "x" {
		t.Errorf("no tags are written as % x", got[1:])
	}
	tags := []mkv.Tag{{"name", "Haustür"}, {"AWS_KINESISVIDEO_NOTIFICATION", ""}, {strings.Repeat("n", 128), strings.Repeat("v", 256)}}
	video := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1}, Width: 640, Height: 480}
	body := mkv.AppendStreamHeader(nil, mkv.Header{Start: time.UnixMilli(0), Title: "door", Tracks: []mkv.Track{video}})
	for range 2 {
		var head [mkv.ClusterHeadSize]byte
		mkv.PutClusterHead(head[:], mkv.ClusterHeadSize, 0)
		body = mkv.AppendTags(append(body, head[:]...), tags)
	}
	path := filepath.Join(t.TempDir(), "tags.mkv")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("mkvinfo", "-v", "--ui-language", "en_US", path).CombinedOutput()
	if err != nil {
		t.Fatalf("mkvinfo: %v\n%s", err, output)
	}
	one := "|+ Tags\n| + Tag\n"
	for _, tag := range tags {
		one += "|  + Simple\n|   + Name: " + tag.Name + "\n|   + String:" + strings.TrimRight(" "+tag.Value, " ") + "\n"
	}
	got := strings.ReplaceAll(string(output), "String\n", "String:\n")
	if n := strings.Count(got, one); n != 2 {
		t.Errorf("mkvinfo finds the tags %d times, want twice\n%s", n, output)
	}
}
