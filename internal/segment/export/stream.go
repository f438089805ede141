package export

import "io"

// Patch takes the place of bytes of a stream that were sent already: a file that has them can be sought in.
type Patch struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

// Stream is a mkv.File that is sent while it is written. What is written again of the file's header is a patch.
type Stream struct {
	w       io.Writer
	begin   func()
	header  int64 // length
	size    int64
	patches []Patch
}

// NewStream returns a stream that is sent to w, and calls begin before the first byte.
func NewStream(w io.Writer, begin func()) *Stream { return &Stream{w: w, begin: begin} }

// Size returns how many bytes were sent.
func (s *Stream) Size() int64 { return s.size }

// Patches returns what was written again.
func (s *Stream) Patches() []Patch { return s.patches }

// Write implements io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	if s.size == 0 {
		s.begin()
		s.header = int64(len(p)) // a writer writes it at once
	}
	n, err := s.w.Write(p)
	s.size += int64(n)
	return n, err
}

// WriteAt implements io.WriterAt.
func (s *Stream) WriteAt(p []byte, offset int64) (int, error) {
	switch {
	case offset == s.size:
		return s.Write(p)
	case offset+int64(len(p)) <= s.header:
		s.patches = append(s.patches, Patch{offset, append([]byte(nil), p...)})
	}
	return len(p), nil // players do without the rest
}
