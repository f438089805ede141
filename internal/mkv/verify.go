package mkv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// Verification is the result of Verify.
type Verification struct {
	Fragments []Fragment // all that were found, also the damaged ones
	Damaged   []Damaged  // in the order of the file
	Unsummed  int        // fragments without a checksum, as all were in earlier versions
}

// Damaged is media whose bytes differ from those that were written.
type Damaged struct {
	From, To time.Duration // since Header.Start; To is 0 when no intact fragment follows
	Err      error         // what is wrong with it
}

var errUnreadable = errors.New("it cannot be read")

// Verify reads a complete file: every element must begin where the previous one ends, every frame must be readable, every
// NAL unit complete, and every byte the one that a checksum was computed from, if there is one. When finished is false the
// file is still being written, and its completed part is read. It fails when the file itself is damaged, outside of its
// fragments, or cannot be read.
func (r *Reader) Verify(finished bool) (Verification, error) {
	list, unread, err := r.list()
	v := Verification{Fragments: list}
	if err != nil {
		return v, err
	}
	for i, f := range list {
		for ; len(unread) > 0 && unread[0].from < f.Offset; unread = unread[1:] {
			d := Damaged{To: f.Start, Err: errUnreadable}
			if i > 0 {
				d.From = list[i-1].Last
			}
			v.Damaged = append(v.Damaged, d)
		}
		if err := r.verifyFragment(f, &v); err != nil {
			return v, err
		}
	}
	if len(unread) > 0 {
		d := Damaged{Err: errUnreadable}
		if n := len(list); n > 0 {
			d.From = list[n-1].Last
		}
		v.Damaged = append(v.Damaged, d)
	}
	if err := r.verifyHeader(); err != nil || !finished {
		return v, err
	}
	if !r.Complete() {
		return v, errors.New("the file is not finished, or cut off")
	}
	if len(v.Damaged) > 0 {
		return v, nil // the parts that finishing wrote depend on fragments that are not known now
	}
	return v, r.verifyEnd(list)
}

// verifyFragment fails only when the file cannot be read.
func (r *Reader) verifyFragment(f Fragment, v *Verification) error {
	j, err := r.judge(f)
	if err != nil {
		return err
	}
	if err = j.err(); err == nil && !r.headMatches(f) {
		err = errors.New("its size is damaged")
	}
	if err != nil {
		v.Damaged = append(v.Damaged, Damaged{f.Start, f.Last, err})
	} else if j.state != sumStated {
		v.Unsummed++
	}
	return nil
}

// headMatches reports whether a fragment's head is as it is written: scanning may have found its end by other means than its
// size.
func (r *Reader) headMatches(f Fragment) bool {
	var head, want [ClusterHeadSize]byte
	PutClusterHead(want[:], f.Size, f.Start.Milliseconds())
	_, err := r.scan.r.ReadAt(head[:], f.Offset)
	return err == nil && head == want
}

// verifyHeader compares the content before the first cluster with its checksum, if there is one.
func (r *Reader) verifyHeader() error {
	if r.at.sum == 0 {
		return nil
	}
	header := make([]byte, r.at.sum+sumSize)
	if _, err := r.scan.r.ReadAt(header, 0); err != nil {
		return err
	}
	sum, state := parseSum([sumSize]byte(header[r.at.sum:]), headMark)
	if state != sumStated || sum != headerSum(header[:r.at.sum], r.at) {
		return errors.New("the file's header is damaged")
	}
	return nil
}

// verifyEnd checks the parts that finishing wrote: as they follow from the fragments they need no checksum. The check is
// less strict for files of earlier versions.
func (r *Reader) verifyEnd(list []Fragment) error {
	end := r.first
	if n := len(list); n > 0 {
		end = list[n-1].Offset + list[n-1].Size
	}
	unread := fmt.Errorf("what follows byte %d cannot be read", end)
	if r.at.sum == 0 {
		if e, err := r.scan.at(end); end != r.scan.size && (err != nil || e.id != element.IDCues || e.dataEnd != r.scan.size) {
			return unread
		}
		return nil
	}
	all, err := contentsOf(r.scan.r, list)
	if err != nil {
		return err
	}
	cues := cuesOf(r.at, all)
	if earlier := cuesOf(r.at, contents{fragments: list}); r.scan.size-end == int64(len(earlier)) {
		cues = earlier // of a version that pointed to clusters only
	}
	for _, part := range []struct {
		at   int64
		want []byte
		name string
	}{
		{end, cues, ""},
		{r.at.segmentData, seekBytes(r.at, end, len(cues) > 0), "the file's seek head is damaged"},
		{r.at.duration, durationBytes(list), "the file's duration is damaged"},
	} {
		got := make([]byte, len(part.want))
		_, err := r.scan.r.ReadAt(got, part.at)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case bytes.Equal(got, part.want):
		case part.name == "":
			return unread
		default:
			return errors.New(part.name)
		}
	}
	if end+int64(len(cues)) != r.scan.size {
		return unread
	}
	return nil
}
