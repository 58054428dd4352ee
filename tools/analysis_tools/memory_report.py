"""What a config's training step needs, and what other ways to train the same model would; as `mmlocal report`.

python tools/analysis_tools/memory_report.py configs/man/faster_rcnn_r50_man_coco.py --shape 3 512 512
python tools/analysis_tools/memory_report.py mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py --local fba
"""

from mmlocal.commands import script

main = script('report')

if __name__ == '__main__':
    main()
