package receipt_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 11, 21, 4, 0, 0, 123e6, time.UTC)

// numberAt is a fragment's number as Kinesis Video Streams makes them: 47 digits that rise with the time.
func numberAt(t time.Time) string {
	n := new(big.Int).Lsh(big.NewInt(t.UnixMilli()), 81)
	first, _ := new(big.Int).SetString("91343852333181432392682062607743920146264094962", 10)
	return n.Add(n, first).String()
}

// some are receipts of that many fragments of 2 s, acknowledged 3 s after they began.
func some(from time.Time, n int) (list []receipt.Receipt) {
	for i := range n {
		at := from.Add(time.Duration(i) * 2 * time.Second)
		list = append(list, receipt.Receipt{
			Number: numberAt(at.Add(3 * time.Second)), Producer: at, Acked: at.Add(3 * time.Second).Truncate(time.Second),
			Length: 1960 * time.Millisecond, Bytes: int64(1000 + i), Epoch: uint8(i),
		})
	}
	return list
}

// keep notes receipts in a store that runs for as long.
func keep(t *testing.T, o receipt.Options, stream string, list []receipt.Receipt) {
	t.Helper()
	s := receipt.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for i, r := range list {
		s.Note(stream, r)
		if i%1000 == 999 {
			if err := s.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, stream string, from, to time.Time) []receipt.Receipt {
	t.Helper()
	list, err := readFrom(receipt.New(receipt.Options{Dir: dir}), stream, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func readFrom(s *receipt.Store, stream string, from, to time.Time) (list []receipt.Receipt, err error) {
	err = s.Read(stream, from, to, func(r receipt.Receipt) { list = append(list, r) })
	slices.SortFunc(list, func(a, b receipt.Receipt) int { return a.Producer.Compare(b.Producer) })
	return list, err
}

var always = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// TestReceiptsOutliveTheProcess: exactly those of a range are read, of several runs, and others' are not.
func TestReceiptsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "receipts")
	list := some(begin, 20_000)
	keep(t, receipt.Options{Dir: dir}, "door", list[:9000])
	keep(t, receipt.Options{Dir: dir}, "door", list[9000:])
	keep(t, receipt.Options{Dir: dir}, "yard", some(begin.Add(time.Second), 3))
	if diff := cmp.Diff(list, read(t, dir, "door", time.Time{}, always)); diff != "" {
		t.Error(diff)
	}
	s := receipt.New(receipt.Options{Dir: dir})
	for range 2 { // the second time it is known which files have the range
		got, err := readFrom(s, "door", list[9990].Producer, list[10_010].Producer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list[9990:10_010], got); diff != "" {
			t.Error(diff)
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, "door"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	total := int64(0)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if most := int64(len(list)*32 + 3*64); total != most {
		t.Errorf("the files have %d bytes, want %d", total, most)
	}
	if err := s.Forget("door"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dir, "door", time.Time{}, always); len(got) != 0 {
		t.Errorf("%d receipts are left of a stream that is deleted", len(got))
	}
	if got := read(t, dir, "yard", time.Time{}, always); len(got) != 3 {
		t.Errorf("another stream has %d receipts, want 3", len(got))
	}
}

// TestTheOldestGoFirst, by whole files, so that a stream never has more than its share.
func TestTheOldestGoFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const limit = 600_000
	list := some(begin, 50_000)
	keep(t, receipt.Options{Dir: dir, Space: func(string) int64 { return 200 * limit }}, "door", list)
	got := read(t, dir, "door", time.Time{}, always)
	if len(got)*32 > limit || len(got)*32 < limit/2 {
		t.Errorf("%d receipts are kept in %d bytes", len(got), limit)
	}
	if diff := cmp.Diff(list[len(list)-len(got):], got); diff != "" {
		t.Error(diff)
	}
}

// TestWhatHasNoReceipt: what does not fit is left out, and neither damages nor hides others.
func TestWhatHasNoReceipt(t *testing.T) {
	t.Parallel()
	good := some(begin, 1)[0]
	for name, change := range map[string]func(*receipt.Receipt){
		"no number":     func(r *receipt.Receipt) { r.Number = "" },
		"letters":       func(r *receipt.Receipt) { r.Number = "abc" },
		"a sign":        func(r *receipt.Receipt) { r.Number = "-1" },
		"zeros":         func(r *receipt.Receipt) { r.Number = "007" },
		"too long":      func(r *receipt.Receipt) { r.Number = new(big.Int).Lsh(big.NewInt(1), 160).String() },
		"too large":     func(r *receipt.Receipt) { r.Bytes = 1 << 32 },
		"another order": func(r *receipt.Receipt) { r.Number = "1" }, // too few receipts for another file
		"years later":   func(r *receipt.Receipt) { r.Acked = r.Acked.AddDate(3, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			bad := good
			bad.Producer = bad.Producer.Add(time.Minute)
			change(&bad)
			list := []receipt.Receipt{good, bad}
			list = append(list, some(begin.Add(time.Hour), 2)...)
			keep(t, receipt.Options{Dir: dir}, "door", list)
			if diff := cmp.Diff(slices.Delete(list, 1, 2), read(t, dir, "door", time.Time{}, always)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("jumps", func(t *testing.T) { // of the clock, and of the numbers: another file is started
		t.Parallel()
		dir := t.TempDir()
		list := append(some(begin, 20), some(begin.AddDate(50, 0, 0), 20)...)
		keep(t, receipt.Options{Dir: dir}, "door", list)
		if diff := cmp.Diff(list, read(t, dir, "door", time.Time{}, always)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestATornFile is cut anywhere, as a kill or a power cut leaves it, or a bit of it is wrong: all whole records are read, and the file
// is continued.
func TestATornFile(t *testing.T) {
	t.Parallel()
	list := some(begin, 4)
	whole := t.TempDir()
	keep(t, receipt.Options{Dir: whole}, "door", list)
	data, err := os.ReadFile(filepath.Join(whole, "door", "00000001.receipts"))
	if err != nil || len(data) != 64+4*32 {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	put := func(t *testing.T, data []byte) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "door"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "door", "00000001.receipts"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	next := some(begin.Add(time.Hour), 1)
	for size := range data {
		dir := put(t, data[:size])
		want := slices.Clone(list[:max(0, (size-64)/32)])
		if got := read(t, dir, "door", time.Time{}, always); !cmp.Equal(got, want) && len(got)+len(want) > 0 {
			t.Fatalf("of %d bytes it reads %v, want %v", size, got, want)
		}
		keep(t, receipt.Options{Dir: dir}, "door", next)
		if got := read(t, dir, "door", time.Time{}, always); !cmp.Equal(got, append(want, next...)) {
			t.Fatalf("continued behind %d bytes it reads %v, want %v", size, got, append(want, next...))
		}
	}
	for at := range data {
		wrong := slices.Clone(data)
		wrong[at] ^= 1 << (at % 8)
		var want []receipt.Receipt
		if at >= 64 {
			want = slices.Delete(slices.Clone(list), (at-64)/32, (at-64)/32+1)
		}
		if got := read(t, put(t, wrong), "door", time.Time{}, always); !cmp.Equal(got, want) {
			t.Fatalf("with a wrong bit at byte %d it reads %v, want %v", at, got, want)
		}
	}
}

// failing is a disk that is full, and keeps a part of each write.
type failing struct {
	atomicfile.OS
	full *bool
}

func (f failing) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	file, err := f.OS.OpenFile(name, flag, mode)
	return failingFile{file, f.full}, err
}

type failingFile struct {
	atomicfile.File
	full *bool
}

func (f failingFile) WriteAt(p []byte, at int64) (int, error) {
	if *f.full {
		n, _ := f.File.WriteAt(p[:len(p)/2], at)
		return n, errors.New("no space left on device")
	}
	return f.File.WriteAt(p, at)
}

// TestAFullDiskCostsOnlyTheReceiptsOfThatTime.
func TestAFullDiskCostsOnlyTheReceiptsOfThatTime(t *testing.T) {
	t.Parallel()
	dir, full := t.TempDir(), false
	o := receipt.Options{Dir: dir, Files: failing{full: &full}}
	list := some(begin, 30)
	keep(t, o, "door", list[:10])
	full = true
	keep(t, o, "door", list[10:20])
	full = false
	keep(t, o, "door", list[20:])
	got := read(t, dir, "door", time.Time{}, always)
	want := append(slices.Clone(list[:10]), list[20:]...)
	for _, r := range want {
		if !slices.Contains(got, r) {
			t.Errorf("%v is lost", r.Producer)
		}
	}
	for _, r := range got {
		if !slices.Contains(list, r) {
			t.Errorf("%+v was never noted", r)
		}
	}
}

// FuzzScan: no content of a file makes the reader fail, or return what could not be written.
func FuzzScan(f *testing.F) {
	dir := f.TempDir()
	s := receipt.New(receipt.Options{Dir: dir})
	for _, r := range some(begin, 3) {
		s.Note("door", r)
	}
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "door", "00000001.receipts"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:100])
	f.Add([]byte("KVSRCPT\x01"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		first, last := receipt.Scan(data, func(r receipt.Receipt) {
			n++
			if r.Length < 0 || r.Bytes < 0 || r.Number == "" || r.Number[0] == '-' {
				t.Errorf("%+v", r)
			}
		})
		if n > len(data)/32 || (n > 0) != (first <= last) {
			t.Errorf("%d receipts of %d bytes, from %d to %d", n, len(data), first, last)
		}
	})
}

func ExampleScan() {
	first, last := receipt.Scan(nil, func(receipt.Receipt) {})
	fmt.Println(first > last)
	// Output: true
}
