package kvs

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// maxPages bounds a listing: 10,000 configurations, a hundred times what a hub has.
	maxPages = 1000
	// listTimeout bounds all pages of a listing.
	listTimeout = 5 * time.Minute
)

var (
	errPagesRepeat  = errors.New("the pages of the answer repeat themselves, so that it is not complete")
	errPagesEndless = fmt.Errorf("the answer has more than %d pages, so that it is not complete", maxPages)
)

// pageWalk follows the tokens of a listing. A listing that has no last page is an error.
type pageWalk struct{ seen map[string]bool }

// after reports whether there is another page behind one that ended with token.
func (p *pageWalk) after(token *string) (more bool, err error) {
	text := aws.ToString(token)
	switch {
	case text == "":
		return false, nil
	case p.seen[text]:
		return false, errPagesRepeat
	case len(p.seen)+1 >= maxPages:
		return false, errPagesEndless
	}
	if p.seen == nil {
		p.seen = make(map[string]bool)
	}
	p.seen[text] = true
	return true, nil
}
