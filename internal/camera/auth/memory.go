package auth

import "crypto/sha256"

// Memory is how a camera handles a password, as far as its sessions have shown. They use it one after the other; the zero value is
// empty.
type Memory struct {
	of      [sha256.Size]byte // the user and the password to which the rest applies
	works   string            // the kind of answer that was accepted; "" for none
	refused string            // the last kind that was refused
	spent   bool              // two kinds were tried in one session: from now on one is
	skip    bool              // both were refused: the next session sends no password
}

// memory returns the memory of the current password.
func (c *Client) memory() *Memory {
	if c.Memory == nil {
		c.Memory = new(Memory)
	}
	if of := sha256.Sum256([]byte(c.User + "\x00" + c.Password)); of != c.Memory.of {
		*c.Memory = Memory{of: of}
	}
	return c.Memory
}

// first returns the answer to start with: the one that worked; else, where one was refused before, the next.
func (m *Memory) first(candidates []*Answer) *Answer {
	if one := find(candidates, &Answer{kind: m.works}); one != nil {
		return one
	}
	if m.spent {
		return after(candidates, m.refused)
	}
	return candidates[0]
}

// refuse notes that a kind of answer was refused, and returns the next.
func (m *Memory) refuse(candidates []*Answer, kind string) *Answer {
	m.refused = kind
	if m.works == kind {
		m.works = ""
	}
	return after(candidates, kind)
}
