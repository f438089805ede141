package localcloud

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// hashedPictures are the hashes of the pictures that ffmpeg decodes of a file, in the order in which they are presented.
func hashedPictures(t *testing.T, dir string, stdin io.Reader, file string) (hashes []string) {
	t.Helper()
	for line := range strings.Lines(decodedFrames(t, dir, stdin, file)) {
		_, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		hashes = append(hashes, hash)
	}
	return hashes
}

// picturesOf are the pictures that ffmpeg decodes of a film, one behind the other.
func picturesOf(t *testing.T, dir string, film []byte, pixels string) []byte {
	t.Helper()
	return foreign(t, bytes.NewReader(film), dir, "ffmpeg", "-v", "error", "-i", "pipe:0", "-map", "0:v", "-vsync", "passthrough",
		"-pix_fmt", pixels, "-f", "rawvideo", "-")
}

// throughVLC has VLC play a URL, and pass on the pictures of it to a file, as they are encoded.
func throughVLC(t *testing.T, url, caFile, kind string) (file string) {
	t.Helper()
	home, err := os.MkdirTemp("", "vlc") // not below that of the test, which another user may not enter
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	must(t, os.Chmod(home, 0o777))
	trusted := filepath.Join(home, "trusted")
	must(t, os.Mkdir(trusted, 0o755))
	ca, err := os.ReadFile(caFile)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(trusted, "ca.pem"), ca, 0o644))
	file = filepath.Join(home, "pictures."+kind)
	cmd := exec.CommandContext(t.Context(), "cvlc", "-I", "dummy", "--gnutls-dir-trust", trusted, "--no-sout-audio",
		"--sout", "#std{access=file,mux=dummy,dst="+file+"}", url, "vlc://quit")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // cvlc is a script
	if os.Getuid() == 0 {                                 // as root it does nothing
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("VLC: %v\n%s", err, said)
	} else if _, err := os.Stat(file); err != nil {
		t.Fatalf("VLC passes on no picture: %s", said)
	}
	return file
}

// throughGStreamer is the hash of all pictures that GStreamer decodes of a URL.
func throughGStreamer(t *testing.T, dir, url, demuxers, kind string) [32]byte {
	t.Helper()
	raw := filepath.Join(dir, "pictures")
	arguments := "-q souphttpsrc location=" + url + " ssl-strict=false ! " + demuxers + " ! " + kind + "parse ! avdec_" + kind +
		" ! video/x-raw,format=I420 ! filesink location=" + raw
	foreign(t, nil, dir, "gst-launch-1.0", strings.Fields(arguments)...)
	pictures, err := os.ReadFile(raw)
	must(t, err)
	return sha256.Sum256(pictures)
}

// TestOtherPlayersSeeWhatWasSent compares each picture that VLC and GStreamer play, of a session in both containers, of a session of DASH
// and of a clip, with those of the film that was sent.
func TestOtherPlayersSeeWhatWasSent(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "gst-launch-1.0", "cvlc")
	for name := range films {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newHLS(t, Options{}), t.TempDir()
			film := filmOf(t, dir, name)
			put(t, p.Cloud, film, foreignStart)
			want := hashedPictures(t, dir, bytes.NewReader(film), "pipe:0")
			raw := sha256.Sum256(picturesOf(t, dir, film, "yuv420p"))
			kind := "h264"
			if strings.HasPrefix(name, "H.265") {
				kind = "h265"
			}
			type row struct{ what, url, demuxers string }
			rows := []row{
				{"fMP4", p.session(onDemand()), "hlsdemux ! qtdemux"},
				{"DASH", p.dashSession(dashOnDemand()), "dashdemux ! qtdemux"},
				{"clip", p.downloadable(p.clip(foreignStart, foreignStart.Add(time.Hour))), "qtdemux"},
			}
			if kind == "h264" { // AWS has H.265 in fragmented MP4 only
				ts := onDemand()
				ts.ContainerFormat = types.ContainerFormatMpegTs
				rows = append(rows, row{"TS", p.session(ts), "hlsdemux ! tsdemux"})
			}
			for _, row := range rows {
				if got := throughGStreamer(t, dir, row.url, row.demuxers, kind); got != raw {
					t.Errorf("%s: GStreamer decodes other pictures than were sent", row.what)
				}
				file := throughVLC(t, row.url, p.pki.CAFile(), kind)
				if got := hashedPictures(t, dir, nil, file); !slices.Equal(got, want) {
					t.Errorf("%s: VLC has %d pictures, want the %d that were sent", row.what, len(got), len(want))
				}
			}
		})
	}
}

// downloadable serves a clip until the test ends.
func (p *player) downloadable(clip []byte) (url string) {
	p.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "clip.mp4", time.Time{}, bytes.NewReader(clip))
	}))
	p.t.Cleanup(server.Close)
	return server.URL + "/clip.mp4"
}
