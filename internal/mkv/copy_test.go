package mkv

import (
	"slices"
	"testing"
	"time"
)

// What is joined of several files must be to a player as if it had been recorded in one.
func TestCopiedFragmentsPlayAsOneFile(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 6)
	half := len(s.units) / 2
	var sources []*Reader
	for _, units := range [][][][]byte{s.units[:half], s.units[half:]} {
		f := create(t)
		part := s
		part.units = units
		w := part.write(t, f, WriterOptions{})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(f, w.Size())
		if err != nil {
			t.Fatal(err)
		}
		if v, err := r.Verify(true); err != nil || len(v.Fragments) != 3 || len(v.Damaged) > 0 || v.Unsummed > 0 {
			t.Fatalf("%+v: %v", v, err)
		}
		sources = append(sources, r)
	}
	out := create(t)
	w, err := NewWriter(out, s.header(), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(0, true); err != nil { // without a frame it leaves nothing behind
		t.Fatal(err)
	}
	// From the second fragment on, with a gap of 5 s between the files.
	for i, r := range sources {
		list, err := r.Fragments()
		if err != nil {
			t.Fatal(err)
		}
		for n, f := range list {
			if at := time.Duration(i*8+n-1) * time.Second; at >= 0 {
				if err := w.CopyFragment(r.scan.r, f, at); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	mustBeClean(t, out.Name())
	want := frameSums(t, "-f", "h264", "-i", s.annexB(t))[25:]
	if got := frameSums(t, "-i", out.Name()); !slices.Equal(got, want) {
		t.Errorf("%d pictures, want the %d of the source", len(got), len(want))
	}
	// Seeking into the second file's part must land there.
	if got := frameSums(t, "-ss", "7", "-i", out.Name()); !slices.Equal(got, want[50:]) {
		t.Errorf("%d pictures after seeking, want %d", len(got), len(want)-50)
	}
	r, err := Open(out, w.Size())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.Verify(true); err != nil || len(v.Fragments) != 5 || len(v.Damaged) > 0 || v.Unsummed > 0 {
		t.Errorf("%+v: %v", v, err)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 2)
	f := create(t)
	w := s.write(t, f, WriterOptions{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	second := w.Fragments()[1]
	for name, offset := range map[string]int64{
		"a cluster's head": second.Offset, "a NAL unit's length": second.Offset + ClusterHeadSize + blockHeadSize,
		"a block's head": second.Offset + ClusterHeadSize,
	} {
		var before [2]byte
		if _, err := f.ReadAt(before[:], offset); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0x7F, 0x7F}, offset); err != nil {
			t.Fatal(err)
		}
		r, err := Open(f, w.Size())
		if err != nil {
			t.Fatal(err)
		}
		if v, err := r.Verify(true); err == nil && len(v.Damaged) == 0 {
			t.Errorf("%s is damaged, and nothing is found", name)
		}
		if _, err := f.WriteAt(before[:], offset); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Open(f, w.Size())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.Verify(true); err != nil || len(v.Damaged) > 0 {
		t.Error(v, err)
	}
	if r, err = Open(f, w.Size()-5); err == nil {
		if _, err = r.Verify(true); err == nil {
			t.Error("a file that is cut off passes")
		}
	}
}
