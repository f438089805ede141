package mkv

import (
	"fmt"
	"io"
	"time"
)

// CopyFragment appends a completed fragment of another file with the same tracks: its blocks stay
// as they are, its time becomes start since Header.Start. A fragment that is open is ended.
func (w *Writer) CopyFragment(from io.ReaderAt, f Fragment, start time.Duration) error {
	if err := w.endOpen(); err != nil {
		return err
	}
	var head [ClusterHeadSize]byte
	PutClusterHead(head[:], f.Size, start.Milliseconds())
	copied := Fragment{Offset: w.size, Size: f.Size, Start: start, Last: start + f.Last - f.Start, Frames: f.Frames, Keyframe: f.Keyframe}
	n, err := w.file.Write(head[:])
	w.size += int64(n)
	if err == nil {
		var m int64
		blocks := io.NewSectionReader(from, f.Offset+ClusterHeadSize, f.Size-ClusterHeadSize)
		m, err = io.Copy(onlyWriter{w.file}, blocks)
		w.size += m
		if err == nil && m < blocks.Size() {
			err = fmt.Errorf("the fragment at %d ends early: %w", f.Offset, io.ErrUnexpectedEOF)
		}
	}
	if err != nil {
		w.err = err
		return err
	}
	w.fragments = append(w.fragments, copied)
	return nil
}

// onlyWriter hides what else a file can do, so that io.Copy uses a plain buffer.
type onlyWriter struct{ io.Writer }
