package collect

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

var (
	begin = time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)
	track = mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1, 2, 3}, Width: 16, Height: 16}
)

// hubOf is a hub with a certificate of its own.
func hubOf(t *testing.T) (h Hub, trust evidence.Trust) {
	t.Helper()
	cert, key := testtools.DeviceFiles(t, t.TempDir(), "hub")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	h = Hub{Thing: "hub-1", ARN: "arn:aws:iot:eu-west-1:1:thing/hub-1", Version: "1.2.3", Clock: hubclock.New(hubclock.Options{
		Synchronised: func() bool { return true },
	}), Certificate: func() (*tls.Certificate, error) { return &pair, nil }}
	return h, evidence.Trust{Certificate: pair.Leaf}
}

// recorded is a store with segments of the stream door that begin so long after begin, each of fragments of a second.
func recorded(t *testing.T, fragments int, after ...time.Duration) *segment.Store {
	t.Helper()
	s, err := segment.Open(segment.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, after := range after {
		w, err := s.Create("door", mkv.Header{Start: begin.Add(after), Title: "door", Tracks: []mkv.Track{track}})
		for i := range fragments {
			from := time.Duration(i) * time.Second
			err = errors.Join(err, w.BeginFragment(from, true))
			for n := range 25 {
				at := from + time.Duration(n)*40*time.Millisecond
				data := append([]byte{0x65}, strings.Repeat(fmt.Sprintf("picture %d of %v ", n, after+from), 20)...)
				err = errors.Join(err, w.WriteFrame(1, at, n == 0, [][]byte{data}))
			}
			_, endErr := w.EndFragment()
			err = errors.Join(err, endErr)
		}
		if err = errors.Join(err, w.Seal()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// archived makes evidence of a time and writes it as a command does: the media comes from an export of its own.
func archived(t *testing.T, s *segment.Store, h Hub, from, to time.Time) *os.File {
	t.Helper()
	made, err := Make(t.Context(), s, h, "door", from, to)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "out.zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	a, err := evidence.NewArchive(f, made.Signed)
	if err == nil {
		// As the local API sends it: what is written again of fragments is not sent.
		_, err = export.Run(t.Context(), s, export.Options{Stream: "door", From: made.From, To: made.To}, a.Media())
	}
	if err == nil {
		_, err = a.Finish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	wantSent(t, s, made, f.Name())
	return f
}

// wantSent has the archive sent while its media is exported: to the last byte as it is written.
func wantSent(t *testing.T, s *segment.Store, made Evidence, written string) {
	t.Helper()
	var got bytes.Buffer
	out, err := evidence.NewSending(&got, made.Signed, made.Sums)
	if err != nil {
		t.Fatal(err)
	}
	_, err = export.Run(t.Context(), s, export.Options{Stream: "door", From: made.From, To: made.To}, out)
	if err == nil {
		err = out.Finish()
	}
	want, readErr := os.ReadFile(written)
	if err := errors.Join(err, readErr); err != nil || !bytes.Equal(got.Bytes(), want) || int64(got.Len()) != out.Size() {
		t.Errorf("%v: %d bytes are sent, %d written, %d said", err, got.Len(), len(want), out.Size())
	}
}

func verified(t *testing.T, f *os.File, trust evidence.Trust) evidence.Manifest {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	v, err := evidence.Verify(context.Background(), f, info.Size(), trust, nil)
	if err != nil || !v.SignerKnown {
		t.Fatalf("%+v, %v", v, err)
	}
	return v.Manifest
}

// TestEvidenceOfRecordings says what the store has: times, gaps, and one GOP more than was asked for.
func TestEvidenceOfRecordings(t *testing.T) {
	t.Parallel()
	s := recorded(t, 5, 0, 5*time.Second, time.Minute)
	h, trust := hubOf(t)
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	for name, c := range map[string]struct {
		from, to  time.Time
		fragments int
		last      time.Time // start of the last fragment
		more      bool
		gaps      int
	}{
		"all":                             {time.Time{}, time.Time{}, 15, at(64 * time.Second), false, 1},
		"within a segment":                {at(time.Second), at(3 * time.Second), 3, at(3 * time.Second), true, 0},
		"the next GOP is in the next one": {at(time.Second), at(5 * time.Second), 5, at(5 * time.Second), true, 0},
		"nothing follows at once":         {at(8 * time.Second), at(10 * time.Second), 2, at(9 * time.Second), false, 0},
		"nothing follows":                 {at(time.Minute), at(time.Hour), 5, at(64 * time.Second), false, 0},
		"over a gap":                      {at(8 * time.Second), at(62 * time.Second), 5, at(62 * time.Second), true, 1},
	} {
		m := verified(t, archived(t, s, h, c.from, c.to), trust)
		if n := len(m.Fragments); n != c.fragments || !m.Fragments[n-1].From.Equal(c.last) || (m.Asked.MoreTo != nil) != c.more ||
			len(m.Gaps) != c.gaps {
			t.Errorf("%s: %d fragments to %s, more to %v, gaps %v", name, n, m.Fragments[n-1].From, m.Asked.MoreTo, m.Gaps)
		}
		if m.Hub.Thing != "hub-1" || m.Hub.ARN != h.ARN || m.Agent != "1.2.3" || m.Stream != "door" || !m.Clock.Trusted || m.Receipts {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestEvidenceOfManyFragments is refused with a time that can be asked for.
func TestEvidenceOfManyFragments(t *testing.T) {
	t.Parallel()
	s := recorded(t, 5, 0, 5*time.Second)
	h, trust := hubOf(t)
	h.Most = 4
	_, err := Make(t.Context(), s, h, "door", time.Time{}, time.Time{})
	until := begin.Add(4 * time.Second)
	says := "more than 4 fragments: ask for the time up to " + until.UTC().Format(time.RFC3339) + ", and then"
	if fault := new(health.Fault); !errors.As(err, &fault) || !strings.Contains(fault.Error(), says) {
		t.Fatalf("without an end: %v", err)
	}
	for _, part := range []struct{ from, to time.Time }{{time.Time{}, until}, {until, until.Add(4 * time.Second)}} {
		if m := verified(t, archived(t, s, h, part.from, part.to), trust); len(m.Fragments) != 5 { // with one GOP more
			t.Errorf("from %s to %s: %d fragments", part.from, part.to, len(m.Fragments))
		}
	}
}

// TestEvidenceHasTheClusters of the recording: the blocks of each fragment are those of the file on the disk, byte for byte.
func TestEvidenceHasTheClusters(t *testing.T) {
	t.Parallel()
	s := recorded(t, 3, 0)
	h, trust := hubOf(t)
	f := archived(t, s, h, time.Time{}, time.Time{})
	m := verified(t, f, trust)
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	info := s.Segments("door", time.Time{}, time.Time{})[0]
	file, err := os.ReadFile(s.Path(info.Key))
	if err != nil {
		t.Fatal(err)
	}
	r, err := mkv.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Fragments()
	if err != nil || len(list) != len(m.Fragments) {
		t.Fatal(len(list), err)
	}
	for _, fragment := range list {
		if blocks := file[fragment.Offset+mkv.ClusterHeadSize : fragment.Offset+fragment.Size]; bytes.Count(data, blocks) != 1 {
			t.Errorf("the blocks of the fragment at %s are not in the archive", fragment.Start)
		}
	}
}

// TestDamagedFragmentsAreMarked: their bytes on the disk are evidence, and not those that were recorded.
func TestDamagedFragmentsAreMarked(t *testing.T) {
	t.Parallel()
	s := recorded(t, 3, 0)
	h, trust := hubOf(t)
	path := s.Path(s.Segments("door", time.Time{}, time.Time{})[0].Key)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[bytes.Index(file, []byte("picture 3 of 1s"))] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	m := verified(t, archived(t, s, h, time.Time{}, time.Time{}), trust)
	for i, f := range m.Fragments {
		if f.Damaged != (i == 1) {
			t.Errorf("fragment %d: damaged %v", i, f.Damaged)
		}
	}
}

// TestNumbersOfTheCloud are in the manifest where they are known.
func TestNumbersOfTheCloud(t *testing.T) {
	t.Parallel()
	s := recorded(t, 2, 0)
	h, trust := hubOf(t)
	h.Number = func(stream string, at time.Time) (string, bool) {
		return "9134385233318150666794", stream == "door" && at.Equal(begin.Add(time.Second))
	}
	m := verified(t, archived(t, s, h, time.Time{}, time.Time{}), trust)
	if !m.Receipts || m.Fragments[0].Number != "" || m.Fragments[1].Number != "9134385233318150666794" {
		t.Errorf("%+v", m.Fragments)
	}
}

// TestCorrectedTimes are said, and whether anybody knows by how much they were wrong.
func TestCorrectedTimes(t *testing.T) {
	t.Parallel()
	s := recorded(t, 2, 0)
	h, trust := hubOf(t)
	if err := s.NoteClock("door", begin, begin.Add(time.Minute), time.Hour); err != nil {
		t.Fatal(err)
	}
	m := verified(t, archived(t, s, h, time.Time{}, time.Time{}), trust)
	if c := m.Clock.Corrections; len(c) != 1 || c[0].AddMS != time.Hour.Milliseconds() || !c[0].Known || !c[0].Unset {
		t.Errorf("%+v", c)
	}
	if want := begin.Add(time.Hour); !m.From.Equal(want) {
		t.Errorf("it is from %s, want %s", m.From, want)
	}
}

// TestAHubWithoutACertificate says so.
func TestAHubWithoutACertificate(t *testing.T) {
	t.Parallel()
	h, _ := hubOf(t)
	h.Certificate = func() (*tls.Certificate, error) { return nil, errors.New("Greengrass holds the key") }
	_, err := Make(t.Context(), recorded(t, 1, 0), h, "door", time.Time{}, time.Time{})
	if err == nil || err.Error() != "Evidence of stream door cannot be signed: Greengrass holds the key." {
		t.Error(err)
	}
}
