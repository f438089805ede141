package recorder

// The shortest valid NAL units of H.264.
const (
	sei    = "\x06\x05\x01x\x80"
	idr    = "\x65\x88idr"
	slice1 = "\x41\x9aslice"
)
