package layout

// Span is a range of media in ms since its segment's start.
type Span struct{ From, To int64 }
