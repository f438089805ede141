package layout

// Span is media in ms since its segment's start.
type Span struct{ From, To int64 }
