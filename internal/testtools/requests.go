package testtools

import (
	"bufio"
	"io"
	"iter"
	"net/textproto"
)

// Requests reads the requests of a client of RTSP or HTTP, without bodies: the first line of each, and its header. It ends where there
// is no further one.
func Requests(client io.Reader) iter.Seq2[string, textproto.MIMEHeader] {
	return func(yield func(string, textproto.MIMEHeader) bool) {
		r := textproto.NewReader(bufio.NewReader(client))
		for {
			line, err := r.ReadLine()
			if err != nil {
				return
			}
			header, err := r.ReadMIMEHeader()
			if err != nil || !yield(line, header) {
				return
			}
		}
	}
}
