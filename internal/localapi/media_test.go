package localapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// film records real video of ffmpeg's test picture in segments of 5 s, and returns the raw video.
func film(t *testing.T, s *segment.Store, seconds int) (annexB []byte) {
	t.Helper()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvinfo")
	source := fmt.Sprintf("testsrc2=size=320x240:rate=25:duration=%d", seconds)
	annexB, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset",
		"ultrafast", "-tune", "zerolatency", "-g", "25", "-bf", "0", "-x264-params", "aud=1:slices=1", "-f", "h264", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	var units [][][]byte
	var sps, pps []byte
	for _, part := range bytes.Split(annexB, []byte{0, 0, 1}) {
		if part = bytes.TrimRight(part, "\x00"); len(part) == 0 {
			continue
		}
		switch part[0] & 0x1f { // ITU-T H.264, table 7-1
		case 9:
			units = append(units, nil)
			continue
		case 7:
			sps = part
		case 8:
			pps = part
		}
		units[len(units)-1] = append(units[len(units)-1], part)
	}
	private := append([]byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1, 0, byte(len(sps))}, sps...)
	private = append(append(private, 1, 0, byte(len(pps))), pps...)
	track := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: private, Width: 320, Height: 240}
	var w *segment.Writer
	for i, unit := range units {
		at := time.Duration(i%125) * 40 * time.Millisecond
		if i%125 == 0 {
			if w != nil {
				seal(t, w)
			}
			start := begin.Add(time.Duration(i) * 40 * time.Millisecond)
			if w, err = s.Create("door", mkv.Header{Start: start, Title: "door", Tracks: []mkv.Track{track}}); err != nil {
				t.Fatal(err)
			}
		}
		if i%25 == 0 {
			err = w.BeginFragment(at, true)
		}
		if err = errors.Join(err, w.WriteFrame(1, at, i%25 == 0, unit)); err != nil {
			t.Fatal(err)
		}
	}
	seal(t, w)
	return annexB
}

// pictures are the MD5 sums of the pictures of a file.
func pictures(t *testing.T, path string) (sums []string) {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	output, err := cmd.Output()
	if err != nil || problems.Len() > 0 {
		t.Errorf("ffmpeg of %s: %v\n%s", path, err, problems.String())
	}
	for line := range strings.Lines(string(output)) {
		if fields := strings.Split(strings.TrimSpace(line), ","); !strings.HasPrefix(line, "#") && len(fields) == 6 {
			sums = append(sums, strings.TrimSpace(fields[5]))
		}
	}
	return sums
}

func written(t *testing.T, name string, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMediaIsWhatWasRecorded compares the pictures that come out of the API with those that went in, by programs that
// nobody here wrote.
func TestMediaIsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	want := pictures(t, written(t, "source.h264", film(t, s, 15)))
	if len(want) != 15*25 {
		t.Fatalf("%d pictures were recorded", len(want))
	}
	a := serveOptions(t, Options{Store: s})
	for query, pieces := range map[string][2]int{
		"": {0, 15}, "&from=" + at(4500*time.Millisecond): {4, 15}, "&to=" + at(5*time.Second): {0, 5},
		"&from=" + at(4*time.Second) + "&to=" + at(11*time.Second): {4, 11},
	} {
		status, media := a.get("/v1/media?stream=door" + query)
		path := written(t, "out.mkv", []byte(media))
		if got := pictures(t, path); status != http.StatusOK || !slices.Equal(got, want[25*pieces[0]:25*pieces[1]]) {
			t.Errorf("%q: %d, %d pictures, want those of %v s", query, status, len(got), pieces)
		}
		for _, tool := range [][]string{{"mkvinfo", path}, {"ffprobe", "-v", "error", "-show_streams", path}} {
			output, err := exec.Command(tool[0], tool[1:]...).CombinedOutput()
			if err != nil || strings.Contains(string(output), "rror") {
				t.Errorf("%v: %v\n%s", tool, err, output)
			}
		}
	}
}

// TestMediaWithItsPatchesIsAnExport: byte by byte, also where there are gaps and damage.
func TestMediaWithItsPatchesIsAnExport(t *testing.T) {
	t.Parallel()
	s := door(t, 0, 10*time.Second, 20*time.Second, time.Minute)
	damaged := segment.Key{Stream: "door", Start: begin.Add(10 * time.Second).UnixMilli()}
	if err := os.Truncate(s.Path(damaged), 30_000); err != nil {
		t.Fatal(err)
	}
	a := serveOptions(t, Options{Store: s})
	f, err := os.Create(filepath.Join(t.TempDir(), "export.mkv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	done, err := export.Run(t.Context(), s, export.Options{Stream: "door"}, f)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, te := range []string{"", "trailers", "gzip, Trailers"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent/v1/media?stream=door", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("TE", te)
		resp, err := a.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := []byte(body(t, resp))
		if resp.Header.Get("Accept-Ranges") != "none" || resp.Header.Get(headerMediaBytes) == "" {
			t.Errorf("%v", resp.Header)
		}
		if te == "" {
			if len(resp.Trailer) != 0 || len(got) != len(want) {
				t.Errorf("without being asked for: %v, %d bytes of %d", resp.Trailer, len(got), len(want))
			}
			continue
		}
		var m Media
		if err := json.Unmarshal([]byte(resp.Trailer.Get(trailerMedia)), &m); err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Patches {
			copy(got[p.Offset:], p.Data)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes, with the patches, are not the %d of an export", len(got), len(want))
		}
		expected := mediaOf(done, m.Patches)
		if diff := cmp.Diff(expected, m); diff != "" || len(m.Gaps) != 1 || len(m.Damaged) != 1 {
			t.Errorf("%+v\n%s", m, diff)
		}
	}
}

// TestMediaOfTwoFormats is refused with a sentence that says where they meet.
func TestMediaOfTwoFormats(t *testing.T) {
	t.Parallel()
	s := door(t, 0)
	other := track
	other.CodecPrivate = []byte{4, 5, 6}
	w, err := s.Create("door", mkv.Header{Start: begin.Add(time.Minute), Title: "door", Tracks: []mkv.Track{other}})
	if err != nil {
		t.Fatal(err)
	}
	writeSecond(t, w, 0)
	seal(t, w)
	a := serveOptions(t, Options{Store: s})
	status, text := a.get("/v1/media?stream=door")
	if status != http.StatusConflict || !strings.Contains(text, "changed its format at 2026-11-21T04:21:48") {
		t.Errorf("%d %s", status, text)
	}
	// A range of bytes is not what it can send, and is passed over.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent/v1/media?stream=door&to="+at(time.Minute), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=5-9")
	resp, err := a.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if text := body(t, resp); resp.StatusCode != http.StatusOK || len(text) < 10*25*200 {
		t.Errorf("%s, %d bytes", resp.Status, len(text))
	}
}

// ask sends a request for media over a connection of its own, and reads the head of the answer.
func (a *api) ask(query string) (net.Conn, *http.Response) {
	a.t.Helper()
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET /v1/media?%s HTTP/1.1\r\nHost: agent\r\n\r\n", query)
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return conn, resp
}

// large is a store of far more than the buffers of a socket hold.
func large(t *testing.T) *segment.Store {
	t.Helper()
	s := openStore(t)
	for n := range 4 {
		w, err := s.Create("door", mkv.Header{Start: begin.Add(time.Duration(n) * 10 * time.Second), Title: "door", Tracks: []mkv.Track{track}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			if err := errors.Join(w.BeginFragment(time.Duration(i)*time.Second, true),
				w.WriteFrame(1, time.Duration(i)*time.Second, true, [][]byte{bytes.Repeat([]byte{1}, 1<<20)})); err != nil {
				t.Fatal(err)
			}
		}
		seal(t, w)
	}
	return s
}

// TestAReaderThatStallsIsCutOff and keeps no segment from being deleted any longer.
func TestAReaderThatStallsIsCutOff(t *testing.T) {
	t.Parallel()
	s := large(t)
	a := serveOptions(t, Options{Store: s}, func(s *Server) { s.stall, s.mediaStall = 100*time.Millisecond, 100*time.Millisecond })
	_, resp := a.ask("stream=door")
	first := segment.Key{Stream: "door", Start: begin.UnixMilli()}
	testtools.Eventually(t, time.Minute, func() error { return s.Delete(first) })
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("a stream that was cut off looks complete, of %d bytes", n)
	}
}

// TestAReaderThatLeavesHoldsNothing: with it goes the lease of its segment.
func TestAReaderThatLeavesHoldsNothing(t *testing.T) {
	t.Parallel()
	s := large(t)
	a := serveOptions(t, Options{Store: s})
	conn, _ := a.ask("stream=door")
	first := segment.Key{Stream: "door", Start: begin.UnixMilli()}
	if err := s.Delete(first); !errors.Is(err, segment.ErrBusy) {
		t.Errorf("what is read is deleted: %v", err)
	}
	_ = conn.Close()
	testtools.Eventually(t, time.Minute, func() error { return s.Delete(first) })
}

// TestWhatIsDeletedUnderAStreamIsReported: the rest still comes.
func TestWhatIsDeletedUnderAStreamIsReported(t *testing.T) {
	t.Parallel()
	s := large(t)
	a := serveOptions(t, Options{Store: s})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent/v1/media?stream=door", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("TE", "trailers")
	resp, err := a.http.Do(req) // the socket's buffer is full by now, or will be
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(segment.Key{Stream: "door", Start: begin.Add(20 * time.Second).UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	path := written(t, "out.mkv", []byte(body(t, resp)))
	var m Media
	if err := json.Unmarshal([]byte(resp.Trailer.Get(trailerMedia)), &m); err != nil {
		t.Fatal(err)
	}
	deleted := slices.ContainsFunc(m.Gaps, func(g MediaGap) bool { return g.Deleted && g.From.Equal(begin.Add(20*time.Second)) })
	if m.Fragments != 24 || !deleted {
		t.Errorf("%s: %+v", path, m)
	}
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Fatal(err)
	}
	if status, text := a.get("/v1/media?stream=door"); status != http.StatusNotFound {
		t.Errorf("%d %s", status, text)
	}
}

// TestRequestsEndWithTheAgent: a stream that nobody reads, one that is asked for slowly, and an upload.
func TestRequestsEndWithTheAgent(t *testing.T) {
	t.Parallel()
	s := large(t)
	agent := whole(func(string) {})
	agent.Upload = func(ctx context.Context, _ UploadRequest, _ func(UploadProgress)) error {
		<-ctx.Done()
		return ctx.Err()
	}
	a := serveOptions(t, Options{Store: s, Agent: agent})
	a.ask("stream=door")
	slow, err := net.Dial("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	fmt.Fprint(slow, "POST /v1/upload HTTP/1.1\r\nHost: agent\r\nContent-Length: 100\r\n\r\n{")
	ended := make(chan error, 1)
	go func() {
		ended <- NewClient(a.socket).Upload(context.WithoutCancel(t.Context()), UploadRequest{Stream: "door"}, func(UploadProgress) {})
	}()
	testtools.Eventually(t, time.Minute, func() error {
		a.server.mu.Lock()
		defer a.server.mu.Unlock()
		if a.server.running[running{pathMedia, Operate}] != 1 {
			return errors.New("the stream is not being served")
		}
		return nil
	})
	watch := testtools.Stopwatch(t)
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	if took := watch(); took > 5*time.Second {
		t.Errorf("it takes %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("the upload is reported as done")
	}
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Errorf("something is still read: %v", err)
	}
}

// TestStreamsOfMediaAreBounded for each right.
func TestStreamsOfMediaAreBounded(t *testing.T) {
	t.Parallel()
	a := serveOptions(t, Options{Store: large(t)})
	for range readers {
		a.ask("stream=door")
	}
	resp, err := a.http.Get("http://agent/v1/media?stream=door")
	if err != nil {
		t.Fatal(err)
	}
	if text := body(t, resp); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %s %s", resp.Status, text)
	}
	if status, _ := a.get("/v1/streams"); status != http.StatusOK {
		t.Errorf("others wait for them: %d", status)
	}
}

// TestVerificationNamesWhatIsDamaged reads all streams, or one.
func TestVerificationNamesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	s := door(t, 0, time.Minute)
	key := segment.Key{Stream: "door", Start: begin.UnixMilli()}
	data, err := os.ReadFile(s.Path(key))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := os.WriteFile(s.Path(key), data, 0o600); err != nil {
		t.Fatal(err)
	}
	seal(t, record(t, s, "yard", begin, 2))
	a := serveOptions(t, Options{Store: s})
	for query, want := range map[string]string{
		"":                              "door 10/1 door 10/0 yard 2/0 finished",
		"?stream=door":                  "door 10/1 door 10/0 finished",
		"?from=" + at(30*time.Second):   "door 10/0 finished",
		"?stream=yard&to=" + at(-1):     "finished",
		"?stream=door&from=" + at(10e9): "door 10/0 finished",
	} {
		status, text := a.get("/v1/verification" + query)
		var words []string
		for line := range strings.Lines(text) {
			var v Verification
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			if v.Finished {
				if words = append(words, "finished"); v.DoneBytes != v.TotalBytes {
					t.Errorf("%+v", v)
				}
				continue
			}
			words = append(words, fmt.Sprintf("%s %d/%d", v.Stream, v.Fragments, len(v.Damage)))
		}
		if got := strings.Join(words, " "); status != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want %q", query, status, got, want)
		}
	}
}
