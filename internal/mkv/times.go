package mkv

import (
	"fmt"
	"iter"
	"time"
)

// Times lists when the frames of track 1 in a fragment are, since Header.Start and in the order of the file,
// by the heads of the blocks: the media is not read.
func (r *Reader) Times(f Fragment) iter.Seq2[time.Duration, error] {
	return func(yield func(time.Duration, error) bool) {
		s := scanner{r: r.scan.r, size: min(r.scan.size, f.Offset+f.Size)}
		for offset := f.Offset + ClusterHeadSize; offset < s.size; {
			b, err := s.at(offset)
			if err == nil && (b.id != idSimpleBlock || b.size < 4 || b.dataEnd > s.size) {
				err = errTorn
			}
			var head [4]byte
			if err == nil {
				head, err = s.blockHead(b)
			}
			if err != nil {
				yield(0, fmt.Errorf("cannot read the fragment at %d: %w", f.Offset, err))
				return
			}
			if track, relative, _ := parseBlockHead(head); track == 1 && !yield(f.Start+relative, nil) {
				return
			}
			offset = b.dataEnd
		}
	}
}
