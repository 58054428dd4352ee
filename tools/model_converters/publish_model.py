"""Publish a checkpoint: `python tools/model_converters/publish_model.py IN OUT.pth`; as `mmlocal publish`."""

from mmlocal.commands import script

main = script('publish')

if __name__ == '__main__':
    main()
