package strictmkv

import (
	"errors"
	"io"
	"iter"
	"os"
	"time"
)

// Block is one block of a file.
type Block struct {
	Header   *Header
	Track    *Track
	Fragment int           // index of its Cluster in the file
	Time     time.Duration // since the Segment's zero
	Keyframe bool
	Data     []byte // valid until the next block
}

// ReadFile reads a complete Matroska file and yields its blocks in the order of the file. It stops
// after the first error, which it yields beside an empty Block: an *Error, or that of the file system.
func ReadFile(path string) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Block{}, err)
			return
		}
		defer f.Close()
		for b, err := range Blocks(f) {
			if !yield(b, err) {
				return
			}
		}
	}
}

// Blocks is ReadFile on any source.
func Blocks(src io.Reader) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		r := NewReader(src, Options{Payload: true})
		fragment := -1
		for {
			event, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Block{}, err)
				return
			}
			switch event.Kind {
			case KindFragmentStart:
				fragment++
			case KindBlock:
				b := Block{
					Header: r.Header(), Track: event.Track, Fragment: fragment,
					Time: event.Time, Keyframe: event.Keyframe, Data: event.Data,
				}
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}
