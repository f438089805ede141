package strictmkv

import "unicode/utf8"

// maxTagDepth is how deep SimpleTags may be nested.
const maxTagDepth = 8

// readTags lists the SimpleTags of all Tag elements, also the nested ones.
func readTags(tags element, asStored bool) ([]Tag, error) {
	var list []Tag
	found := false
	err := tags.children(func(e element) error {
		if e.id != idTag {
			return broken(e.id, e.offset, "does not belong in Tags")
		}
		found = true
		own, targeted, err := readTag(e)
		switch {
		case err != nil:
			return err
		case len(own) == 0 && !asStored:
			return broken(idTag, e.offset, "has no SimpleTag")
		case targeted && asStored:
			return nil
		}
		list = append(list, own...)
		return nil
	})
	if err == nil && !found && !asStored {
		return nil, broken(idTags, tags.offset, "has no Tag")
	}
	return list, err
}

// readTag lists the SimpleTags of a Tag; targeted means that it has a Targets element.
func readTag(tag element) (list []Tag, targeted bool, err error) {
	err = tag.children(func(c element) (err error) {
		switch c.id {
		case idTargets:
			targeted = true
		case idSimpleTag:
			list, err = appendSimpleTag(list, c, 1)
		}
		return err
	})
	return list, targeted, err
}

func appendSimpleTag(list []Tag, e element, depth int) ([]Tag, error) {
	if depth > maxTagDepth {
		return list, broken(idSimpleTag, e.offset, "is nested more than %d deep", maxTagDepth)
	}
	at := len(list)
	list = append(list, Tag{})
	once := map[id]bool{}
	err := e.children(func(c element) (err error) {
		switch c.id {
		case idTagName, idTagString:
			if once[c.id] {
				return broken(c.id, c.offset, "occurs twice in one SimpleTag")
			}
			once[c.id] = true
			text := c.text()
			if !utf8.ValidString(text) {
				return broken(c.id, c.offset, "is not UTF-8")
			}
			if c.id == idTagName {
				list[at].Name = text
			} else {
				list[at].Value = text
			}
		case idSimpleTag:
			list, err = appendSimpleTag(list, c, depth+1)
		}
		return err
	})
	if err == nil && list[at].Name == "" {
		return list, broken(idSimpleTag, e.offset, "has no TagName")
	}
	return list, err
}
