"""What a preview means, in the words of somebody who has to approve it: `make pr-comment`."""
