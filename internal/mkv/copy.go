package mkv

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/crc"
)

// CopyFragment appends a completed fragment of another file with the same tracks: its blocks stay as they are, its time
// becomes start since Header.Start. A fragment that is open is ended. Its checksum is computed from the one in the other
// file without reading the media, so that a copy of a damaged fragment is recognised as damaged, and that streamed output
// has checksums as well; a fragment without one gets one where the file can be written at an offset.
func (w *Writer) CopyFragment(from io.ReaderAt, f Fragment, start time.Duration) error {
	if err := w.endOpen(); err != nil {
		return err
	}
	stated, state, err := sumBefore(from, f.Offset)
	if err != nil {
		return err
	}
	copied := f
	copied.Offset, copied.Start, copied.Last = w.size+sumSize, start, start+f.Last-f.Start
	head := appendSumRoom(nil)
	after := crc32.NewIEEE()
	_, _ = after.Write(headOfCluster(copied)) // it never fails
	var sums io.Writer = after
	if state == sumStated {
		putSum(head, sumMark, stated^crc.Shift(addSum(0, headOfCluster(f))^addSum(0, headOfCluster(copied)), f.Size-ClusterHeadSize))
		sums = io.Discard
	}
	if w.err = w.copyBlocks(head, io.TeeReader(fragmentBlocks(from, f), sums), copied); w.err != nil {
		return w.err
	}
	if state != sumStated {
		w.err = w.complete(copied, after.Sum32())
	}
	w.fragments = append(w.fragments, copied)
	inner, err := innerKeyframes(from, f)
	if err != nil && !errors.Is(err, errTorn) {
		return err
	}
	for _, k := range inner {
		w.inner = append(w.inner, keyframe{copied.Offset, start + k.time - f.Start})
	}
	return w.err
}

// fragmentBlocks returns the part of a fragment after its head.
func fragmentBlocks(from io.ReaderAt, f Fragment) io.Reader {
	return io.NewSectionReader(from, f.Offset+ClusterHeadSize, f.Size-ClusterHeadSize)
}

// headOfCluster returns the part of a fragment's head that its checksum covers.
func headOfCluster(f Fragment) []byte {
	var head [ClusterHeadSize]byte
	PutClusterHead(head[:], f.Size, f.Start.Milliseconds())
	return head[clusterPrefixSize:]
}

// copyBlocks writes a complete fragment after the room for its checksum.
func (w *Writer) copyBlocks(sumRoom []byte, blocks io.Reader, f Fragment) error {
	head := append(sumRoom, make([]byte, ClusterHeadSize)...)
	PutClusterHead(head[sumSize:], f.Size, f.Start.Milliseconds())
	n, err := w.file.Write(head)
	w.size += int64(n)
	if err != nil {
		return err
	}
	m, err := io.Copy(struct{ io.Writer }{w.file}, blocks) // without the file's other methods a plain buffer is used
	w.size += m
	if err == nil && m < f.Size-ClusterHeadSize {
		err = fmt.Errorf("the fragment at %s ends early: %w", f.Start, io.ErrUnexpectedEOF)
	}
	return err
}
