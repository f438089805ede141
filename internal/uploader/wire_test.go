package uploader

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// A fragment that is sent in one piece has the bytes of its file, except for the cluster's head, followed by its tags.
func TestTheWireIsTheFile(t *testing.T) {
	t.Parallel()
	for name, tags := range map[string][]mkv.Tag{"plain": nil, "tagged": someTags} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(3, 4)
			var body bytes.Buffer
			w.filter = func(r io.Reader) io.Reader { return io.TeeReader(r, &body) }
			want := w.wire(tags)
			u := w.uploader()
			must(t, u.SetTags(tags))
			w.drain(u)
			w.expectOnce()
			if !bytes.Equal(body.Bytes(), want) {
				t.Errorf("%d bytes were sent, which are not the %d of the files", body.Len(), len(want))
			}
		})
	}
}

// wire is the body of one session with everything that was recorded, put together from the files.
func (w *rig) wire(tags []mkv.Tag) []byte {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, door, "*.sealed.mkv"))
	must(w.t, err)
	slices.Sort(files)
	var body []byte
	for i, s := range w.store.Segments(door, time.Time{}, time.Time{}) {
		file, err := os.ReadFile(files[i])
		must(w.t, err)
		reader, err := w.store.OpenSegment(s.Key)
		must(w.t, err)
		if i == 0 {
			body = mkv.AppendStreamHeader(body, reader.Header())
		}
		body = w.appendFragments(body, file, reader, tags)
		must(w.t, reader.Close())
	}
	return body
}

func (w *rig) appendFragments(body, file []byte, reader *segment.Reader, tags []mkv.Tag) []byte {
	w.t.Helper()
	list, _, err := reader.Fragments()
	must(w.t, err)
	for _, f := range list {
		var head [mkv.ClusterHeadSize]byte
		mkv.PutClusterHead(head[:], f.Size, reader.Key().Start+f.Start.Milliseconds())
		body = append(body, head[:]...)
		body = append(body, file[f.Offset+mkv.ClusterHeadSize:f.Offset+f.Size]...)
		body = mkv.AppendTags(body, tags)
	}
	return body
}
