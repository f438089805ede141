package mkv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// How video is displayed is stored in the file, comes back from it, and is understood by others. The service's header stays
// what it was.
func TestPicturesAreShownAsTheHeaderSays(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe", "mkvinfo")
	plain := goldenHeader()
	odd := goldenHeader()
	odd.Tracks = append([]Track(nil), plain.Tracks...)
	odd.Tracks[0].Picture = Picture{
		DisplayWidth: odd.Tracks[0].Width * 4 / 3, DisplayHeight: odd.Tracks[0].Height, Interlaced: true, Range: 2,
		Primaries: 9, Transfer: 16, Matrix: 9,
	}
	if odd.Tracks[0].Equal(plain.Tracks[0]) {
		t.Error("tracks that are shown otherwise are the same")
	}
	if string(AppendStreamHeader(nil, odd)) != string(AppendStreamHeader(nil, plain)) {
		t.Error("what is sent has changed")
	}
	header, _, err := fileHeader(odd)
	if err != nil {
		t.Fatal(err)
	}
	s := scanner{r: sliceReader(header), size: int64(len(header))}
	got, _, _, err := s.header()
	if err != nil || len(got.Tracks) != len(odd.Tracks) || got.Tracks[0].Picture != odd.Tracks[0].Picture {
		t.Fatalf("%+v %v", got.Tracks, err)
	}
	path := filepath.Join(t.TempDir(), "a.mkv")
	if err := os.WriteFile(path, header, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := exec.Command("mkvinfo", path).CombinedOutput()
	if err != nil {
		t.Fatalf("mkvinfo: %v %s", err, info)
	}
	for _, says := range []string{"Display width", "Display height", "Interlaced: 1", "primaries: 9"} {
		if !strings.Contains(string(info), says) {
			t.Errorf("mkvinfo does not say %q:\n%s", says, info)
		}
	}
}
