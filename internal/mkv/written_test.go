package mkv

// Fragments returns the completed fragments, first to last.
func (w *Writer) Fragments() []Fragment { return w.fragments }
