"""Check the data of a config: `python tools/misc/check_dataset.py CONFIG`; the same as `mmlocal check-data`."""

from mmlocal.commands import script

main = script('check-data')

if __name__ == '__main__':
    main()
