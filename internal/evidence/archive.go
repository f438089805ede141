package evidence

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// The files of an archive, in their order.
const (
	nameManifest    = "manifest.json"
	nameSignature   = "manifest.jws"
	nameCertificate = "certificate.pem"
	nameMedia       = MediaFile
)

var names = []string{nameManifest, nameSignature, nameCertificate, nameMedia}

// limits are the most bytes of the files before the media.
var limits = []int64{MaxManifest, maxSignature, maxCertificates}

// entry is a file of an archive. What a zip may say beside this is always the same, so that a reader compares all bytes.
type entry struct {
	name   string
	size   int64
	crc    uint32
	offset int64 // of its local header
}

// The marks, and the sizes in bytes, of what a zip has (APPNOTE 6.3.9).
const (
	markLocal     = 0x04034b50
	markCentral   = 0x02014b50
	markEnd       = 0x06054b50
	markEnd64     = 0x06064b50
	markLocator64 = 0x07064b50
	localSize     = 30
	sizes64       = 4 + 8 + 8 // of the extra field with sizes of 64 bits
	plainVersion  = 20
	version64     = 45
	firstDate     = 0x21 // 1980-01-01: an archive of the same content has the same bytes
)

func le16(b []byte, values ...uint16) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func le32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func le64(b []byte, values ...uint64) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// wide reports whether a size takes more than 32 bits.
func (e entry) wide() bool { return e.size >= math.MaxUint32 }

// common is what the local header and the directory have of a file, from the version on.
func (e entry) common() []byte {
	version, size := uint16(plainVersion), uint32(e.size)
	if e.wide() {
		version, size = version64, math.MaxUint32
	}
	b := le16(nil, version, 0, 0, 0, firstDate) // no flags, stored, midnight
	b = le32(b, e.crc, size, size)
	return le16(b, uint16(len(e.name)), uint16(len(e.extra())))
}

func (e entry) extra() []byte {
	if !e.wide() {
		return nil
	}
	return le64(le16(nil, 1, 16), uint64(e.size), uint64(e.size))
}

// local returns what precedes the content of a file.
func (e entry) local() []byte {
	b := append(le32(nil, markLocal), e.common()...)
	return append(append(b, e.name...), e.extra()...)
}

// directory returns what follows the content of the last file, at that offset.
func directory(entries []entry, at int64) (b []byte) {
	version := uint16(plainVersion)
	for _, e := range entries {
		if e.wide() {
			version = version64
		}
	}
	for _, e := range entries {
		b = append(le16(le32(b, markCentral), version), e.common()...)
		b = le32(le16(b, 0, 0, 0), 0, uint32(e.offset)) // no comment, first disk, no attributes
		b = append(append(b, e.name...), e.extra()...)
	}
	size, count := int64(len(b)), uint16(len(entries))
	end := uint32(at)
	if at >= math.MaxUint32 {
		b = le64(le32(b, markEnd64), 44)
		b = le32(le16(b, version64, version64), 0, 0)
		b = le64(b, uint64(count), uint64(count), uint64(size), uint64(at))
		b = le32(le64(le32(b, markLocator64, 0), uint64(at+size)), 1)
		end = math.MaxUint32
	}
	b = le16(le32(b, markEnd), 0, 0, count, count)
	return le16(le32(b, uint32(size), end), 0)
}

// File is the file that an archive is written to. It is empty at first.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Archive is one that is being written: the media first, whose place follows from the other files.
type Archive struct {
	file    File
	entries []entry
	media   int64 // offset
}

// NewArchive writes all but the media, which goes to WriteAt from MediaOffset on.
func NewArchive(file File, s Signed) (*Archive, error) {
	entries, before, err := front(s)
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteAt(before, 0); err != nil {
		return nil, err
	}
	media := entries[len(entries)-1]
	return &Archive{file: file, entries: entries, media: media.offset + int64(len(media.local()))}, nil
}

// Media is where the media is written.
func (a *Archive) Media() *io.OffsetWriter { return io.NewOffsetWriter(a.file, a.media) }

// ErrShort means that there is less media than the manifest says.
var ErrShort = errors.New("the media is shorter than its manifest says")

// Finish reads the media, once that is complete, and writes what surrounds it, unless ctx ends before. It returns the size of the archive.
func (a *Archive) Finish(ctx context.Context) (int64, error) {
	e := &a.entries[3]
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, &reading{ctx: ctx, r: io.NewSectionReader(a.file, a.media, e.size)})
	if err != nil {
		return 0, err
	}
	if n < e.size {
		return 0, ErrShort
	}
	e.crc = sum.Sum32()
	if _, err := a.file.WriteAt(e.local(), e.offset); err != nil {
		return 0, err
	}
	end := directory(a.entries, a.media+e.size)
	_, err = a.file.WriteAt(end, a.media+e.size)
	return a.media + e.size + int64(len(end)), err
}

// opened is an archive that is read: its structure is as it is written, down to the last bit, but the media is not read yet.
type opened struct {
	Signed
	media    *io.SectionReader
	mediaCRC uint32
}

// open reads all of an archive but its media.
func open(r io.ReaderAt, size int64) (o opened, err error) {
	var entries []entry
	at := int64(0)
	for i, name := range names {
		e, err := readLocal(r, name, at)
		if err != nil {
			return o, err
		}
		content := at + int64(len(e.local()))
		if e.size > size-content || i < len(limits) && e.size > limits[i] {
			return o, fmt.Errorf("the file is cut off, or %s is longer than it may be", name)
		}
		if name == nameMedia {
			o.media, o.mediaCRC = io.NewSectionReader(r, content, e.size), e.crc
		} else {
			data := make([]byte, e.size)
			if _, err := r.ReadAt(data, content); err != nil {
				return o, fmt.Errorf("cannot read it: %w", err)
			}
			if crc32.ChecksumIEEE(data) != e.crc {
				return o, fmt.Errorf("%s differs from its checksum in the archive", name)
			}
			*[]*[]byte{&o.Manifest, &o.Signature, &o.Certificate}[i] = data
		}
		entries = append(entries, e)
		at = content + e.size
	}
	want := directory(entries, at)
	got := make([]byte, len(want))
	n, err := r.ReadAt(got, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return o, fmt.Errorf("cannot read it: %w", err)
	}
	if n < len(want) || !bytes.Equal(got, want) || at+int64(len(want)) != size {
		return o, errors.New("the directory of the archive is not as it was written, or there is more in the file")
	}
	return o, nil
}

// readLocal reads what precedes the content of a file, and compares it with what is written.
func readLocal(r io.ReaderAt, name string, at int64) (e entry, err error) {
	var head [localSize + sizes64 + 16]byte // the longest name has 15 bytes
	n, err := r.ReadAt(head[:], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("cannot read it: %w", err)
	}
	const crc, stored = 14, 18
	bad := fmt.Errorf("the archive is not one of evidence, or damaged: where %s should begin there is something else", name)
	if n < localSize+len(name) {
		return e, bad
	}
	e = entry{name: name, crc: binary.LittleEndian.Uint32(head[crc:]), size: int64(binary.LittleEndian.Uint32(head[stored:])), offset: at}
	if e.size == math.MaxUint32 && n >= localSize+len(name)+sizes64 {
		wide := binary.LittleEndian.Uint64(head[localSize+len(name)+4:])
		if wide > math.MaxInt64 {
			return e, bad
		}
		e.size = int64(wide)
	}
	if want := e.local(); len(want) > n || !bytes.Equal(head[:len(want)], want) {
		return e, bad
	}
	return e, nil
}
