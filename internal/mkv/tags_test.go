package mkv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// mkvinfo, which is independent of this project, finds the tags between clusters.
func TestTagsBetweenClustersAreMatroska(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "mkvinfo")
	if got := AppendTags([]byte("x"), nil); string(got) != "x" {
		t.Errorf("no tags are written as % x", got[1:])
	}
	tags := []Tag{{"name", "Haustür"}, {"AWS_KINESISVIDEO_NOTIFICATION", ""}, {strings.Repeat("n", 128), strings.Repeat("v", 256)}}
	video := Track{Number: 1, Kind: Video, CodecID: CodecAVC, CodecPrivate: []byte{1}, Width: 640, Height: 480}
	body := AppendStreamHeader(nil, Header{Start: time.UnixMilli(0), Title: "door", Tracks: []Track{video}})
	for range 2 {
		var head [ClusterHeadSize]byte
		PutClusterHead(head[:], ClusterHeadSize, 0)
		body = AppendTags(append(body, head[:]...), tags)
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
